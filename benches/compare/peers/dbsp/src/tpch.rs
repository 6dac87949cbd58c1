//! The workload `tpch`: joins go from what the conditions leave least of to the lines.

use dbsp::operator::{MapHandle, Update};
use dbsp::utils::{Tup0, Tup2, Tup3, Tup5};
use dbsp::{RootCircuit, ZWeight};
use serde_json::json;

use crate::engine::{Subscribers, World};
use crate::live::{Indexed, Subscriber, ordered, subscriber};
use crate::row::rows;
use crate::shared::Message;
use crate::shared::tpch::{self as row, date, date_text};

rows! {
    struct Nation {
        key: i64,
        region: i64,
        name: String,
    }

    struct Customer {
        key: i64,
        nation: i64,
        balance: i64,
        segment: String,
        name: String,
        address: String,
        phone: String,
        comment: String,
    }

    struct Order {
        key: i64,
        customer: i64,
        date: i64,
        priority: i64,
    }

    struct Line {
        order: i64,
        supplier: i64,
        quantity: i64,
        price: i64,
        discount: i64,
        tax: i64,
        flag: String,
        status: String,
        shipped: i64,
    }
}

impl Line {
    fn revenue(&self) -> i64 {
        self.price * (100 - self.discount)
    }
}

pub(crate) struct Tpch {
    regions: MapHandle<i64, String, String>,
    nations: MapHandle<i64, Nation, Nation>,
    suppliers: MapHandle<i64, i64, i64>,
    customers: MapHandle<i64, Customer, Customer>,
    orders: MapHandle<i64, Order, Order>,
    lines: MapHandle<String, Line, Line>,
}

pub(crate) enum Change {
    Region(i64, Update<String, String>),
    Nation(i64, Update<Nation, Nation>),
    Supplier(i64, Update<i64, i64>),
    Customer(i64, Update<Customer, Customer>),
    Order(i64, Update<Order, Order>),
    Line(String, Update<Line, Line>),
}

fn update<V: dbsp::DBData>(row: Option<V>) -> Update<V, V> {
    row.map_or(Update::Delete, Update::Insert)
}

impl World for Tpch {
    type Change = Change;

    fn decode(message: &Message<'_>) -> Change {
        let key = || message.key.parse().expect("the key is a number");
        match message.kind {
            "region" => {
                let region = |r: row::Region<'_>| r.r_name.into_owned();
                Change::Region(key(), update(message.row().map(region)))
            }
            "nation" => {
                let nation = |n: row::Nation<'_>| Nation {
                    key: n.n_nationkey,
                    region: n.n_regionkey,
                    name: n.n_name.into(),
                };
                Change::Nation(key(), update(message.row().map(nation)))
            }
            "supplier" => {
                let supplier = |s: row::Supplier| s.s_nationkey;
                Change::Supplier(key(), update(message.row().map(supplier)))
            }
            "customer" => {
                let customer = |c: row::Customer<'_>| Customer {
                    key: c.c_custkey,
                    nation: c.c_nationkey,
                    balance: c.c_acctbal,
                    segment: c.c_mktsegment.into(),
                    name: c.c_name.into(),
                    address: c.c_address.into(),
                    phone: c.c_phone.into(),
                    comment: c.c_comment.into(),
                };
                Change::Customer(key(), update(message.row().map(customer)))
            }
            "orders" => {
                let order = |o: row::Order<'_>| Order {
                    key: o.o_orderkey,
                    customer: o.o_custkey,
                    date: date(&o.o_orderdate),
                    priority: o.o_shippriority,
                };
                Change::Order(key(), update(message.row().map(order)))
            }
            _ => {
                let line = |l: row::LineItem<'_>| Line {
                    order: l.l_orderkey,
                    supplier: l.l_suppkey,
                    quantity: l.l_quantity,
                    price: l.l_extendedprice,
                    discount: l.l_discount,
                    tax: l.l_tax,
                    flag: l.l_returnflag.into(),
                    status: l.l_linestatus.into(),
                    shipped: date(&l.l_shipdate),
                };
                Change::Line(message.key.to_owned(), update(message.row().map(line)))
            }
        }
    }

    fn build(circuit: &RootCircuit, queries: &[String]) -> (Tpch, Subscribers) {
        let (regions, region_input) = circuit.add_input_map(String::clone_from);
        let (nations, nation_input) = circuit.add_input_map(Nation::clone_from);
        let (suppliers, supplier_input) =
            circuit.add_input_map(|old: &mut i64, new: &i64| *old = *new);
        let (customers, customer_input) = circuit.add_input_map(Customer::clone_from);
        let (orders, order_input) = circuit.add_input_map(Order::clone_from);
        let (lines, line_input) = circuit.add_input_map(Line::clone_from);
        let sources = Sources {
            regions,
            nations,
            suppliers,
            customers,
            orders,
            lines,
        };
        let build = |name: &String| {
            let live = match name.as_str() {
                "Q1" => sources.q1(),
                "Q3" => sources.q3(),
                "Q5" => sources.q5(),
                "Q6" => sources.q6(),
                _ => sources.q10(),
            };
            (name.clone(), live)
        };
        let live = queries.iter().map(build).collect();
        let world = Tpch {
            regions: region_input,
            nations: nation_input,
            suppliers: supplier_input,
            customers: customer_input,
            orders: order_input,
            lines: line_input,
        };
        (world, live)
    }

    fn push(&self, change: Change) {
        match change {
            Change::Region(key, update) => self.regions.push(key, update),
            Change::Nation(key, update) => self.nations.push(key, update),
            Change::Supplier(key, update) => self.suppliers.push(key, update),
            Change::Customer(key, update) => self.customers.push(key, update),
            Change::Order(key, update) => self.orders.push(key, update),
            Change::Line(key, update) => self.lines.push(key, update),
        }
    }
}

struct Sources {
    regions: Indexed<i64, String>,
    nations: Indexed<i64, Nation>,
    suppliers: Indexed<i64, i64>,
    customers: Indexed<i64, Customer>,
    orders: Indexed<i64, Order>,
    lines: Indexed<String, Line>,
}

impl Sources {
    fn q1(&self) -> Subscriber {
        let groups = self
            .lines
            .filter(|(_, l)| l.shipped <= 19_980_902)
            .map_index(|(_, l)| (Tup2(l.flag.clone(), l.status.clone()), l.clone()))
            .aggregate_linear(|l| {
                let charge = l.revenue() * (100 + l.tax);
                let sums = Tup5(l.quantity, l.price, l.revenue(), charge, l.discount);
                Tup2(1 as ZWeight, sums)
            });
        ordered(&groups, |Tup2(flag, status), Tup2(n, sums)| {
            let avg = |sum: i64| sum as f64 / *n as f64;
            json!({
                "l_returnflag": flag, "l_linestatus": status, "sum_qty": sums.0, "sum_base_price": sums.1,
                "sum_disc_price": sums.2, "sum_charge": sums.3, "avg_qty": avg(sums.0),
                "avg_price": avg(sums.1), "avg_disc": avg(sums.4), "count_order": n,
            })
        })
    }

    fn q3(&self) -> Subscriber {
        let customers = self
            .customers
            .filter(|(_, c)| c.segment == "BUILDING")
            .map_index(|(key, _)| (*key, Tup0()));
        let orders = self
            .orders
            .filter(|(_, o)| o.date < 19_950_315)
            .map_index(|(_, o)| (o.customer, o.clone()))
            .join_index(&customers, |_, o, _| Some((o.key, o.clone())));
        let lines = self
            .lines
            .filter(|(_, l)| l.shipped > 19_950_315)
            .map_index(|(_, l)| (l.order, l.revenue()));
        let top = lines
            .join_index(&orders, |order, revenue, o| {
                Some((Tup3(*order, o.date, o.priority), *revenue))
            })
            .aggregate_linear(|revenue| *revenue)
            .map_index(|(Tup3(order, date, priority), revenue)| {
                (Tup0(), Tup2(Tup3(-revenue, *date, *order), *priority))
            })
            .topk_asc(10)
            .map_index(|(_, Tup2(place, priority))| (place.clone(), *priority));
        ordered(&top, |Tup3(revenue, date, order), priority| {
            let date = date_text(*date);
            json!({"l_orderkey": order, "revenue": -revenue, "o_orderdate": date, "o_shippriority": priority})
        })
    }

    fn q5(&self) -> Subscriber {
        let regions = self.regions.filter(|(_, name)| name == "ASIA");
        let nations = self
            .nations
            .map_index(|(_, n)| (n.region, n.clone()))
            .join_index(&regions, |_, n, _| Some((n.key, n.name.clone())));
        let suppliers = self
            .suppliers
            .map_index(|(key, nation)| (*nation, *key))
            .join_index(&nations, |nation, supplier, name| {
                Some((Tup2(*supplier, *nation), name.clone()))
            });
        let customers = self.customers.map_index(|(key, c)| (*key, c.nation));
        let orders = self
            .orders
            .filter(|(_, o)| (19_940_101..19_950_101).contains(&o.date))
            .map_index(|(_, o)| (o.customer, o.key))
            .join_index(&customers, |_, order, nation| Some((*order, *nation)));
        let lines = self
            .lines
            .map_index(|(key, l)| (l.order, Tup3(key.clone(), l.supplier, l.revenue())));
        let groups = lines
            .join_index(&orders, |_, Tup3(key, supplier, revenue), nation| {
                Some((Tup2(*supplier, *nation), Tup2(key.clone(), *revenue)))
            })
            .join_index(&suppliers, |_, Tup2(_, revenue), name| {
                Some((name.clone(), *revenue))
            })
            .aggregate_linear(|revenue| *revenue)
            .map_index(|(name, revenue)| (Tup2(-revenue, name.clone()), Tup0()));
        ordered(
            &groups,
            |Tup2(revenue, name), _| json!({"n_name": name, "revenue": -revenue}),
        )
    }

    fn q6(&self) -> Subscriber {
        let revenue = self
            .lines
            .filter(|(_, l)| {
                let dates = 19_940_101..19_950_101;
                dates.contains(&l.shipped) && (5..=7).contains(&l.discount) && l.quantity < 24
            })
            .map_index(|(_, l)| (Tup0(), l.price * l.discount))
            .aggregate_linear(|revenue| *revenue);
        subscriber(&revenue, |_, revenue| json!({"revenue": revenue}))
    }

    fn q10(&self) -> Subscriber {
        let orders = self
            .orders
            .filter(|(_, o)| (19_931_001..19_940_101).contains(&o.date))
            .map_index(|(_, o)| (o.key, o.customer));
        // Grouped by the customer's key, of which all other columns follow.
        let revenue = self
            .lines
            .filter(|(_, l)| l.flag == "R")
            .map_index(|(_, l)| (l.order, l.revenue()))
            .join_index(&orders, |_, revenue, customer| Some((*customer, *revenue)))
            .aggregate_linear(|revenue| *revenue);
        let nations = self.nations.map_index(|(key, n)| (*key, n.name.clone()));
        let customers = self
            .customers
            .map_index(|(_, c)| (c.nation, c.clone()))
            .join_index(&nations, |_, c, name| {
                Some((c.key, Tup2(c.clone(), name.clone())))
            });
        let top = revenue
            .join_index(&customers, |key, revenue, row| {
                Some((Tup0(), Tup2(Tup2(-revenue, *key), row.clone())))
            })
            .topk_asc(20)
            .map_index(|(_, Tup2(place, row))| (place.clone(), row.clone()));
        ordered(&top, |Tup2(revenue, _), Tup2(c, nation)| {
            json!({
                "c_custkey": c.key, "c_name": c.name, "c_acctbal": c.balance, "c_phone": c.phone,
                "c_address": c.address, "c_comment": c.comment, "n_name": nation, "revenue": -revenue,
            })
        })
    }
}

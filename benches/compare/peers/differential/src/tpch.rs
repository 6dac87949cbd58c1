//! The workload `tpch`: joins go from what the conditions leave least of to the lines.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::hash::RandomState;

use differential_dataflow::VecCollection;
use serde_json::{Value, json};
use timely::dataflow::Scope;

use crate::engine::World;
use crate::live::{Live, subscriber};
use crate::operators::{Output, R, T, arrange, sink, window};
use crate::shared::Message;
use crate::shared::tpch::{self as row, date, date_text};
use crate::table::Table;
use crate::text::{Names, Symbol, Text};
use crate::totals::{Totals, totals};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nation {
    key: i64,
    region: i64,
    name: Symbol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Customer {
    key: i64,
    nation: i64,
    balance: i64,
    segment: Symbol,
    name: Symbol,
    address: Symbol,
    phone: Symbol,
    comment: Symbol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order {
    key: i64,
    customer: i64,
    date: i64,
    priority: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    order: i64,
    supplier: i64,
    quantity: i64,
    price: i64,
    discount: i64,
    tax: i64,
    flag: Symbol,
    status: Symbol,
    shipped: i64,
}

impl Line {
    fn revenue(&self) -> i64 {
        self.price * (100 - self.discount)
    }
}

type Rows<'s, D> = VecCollection<'s, T, D, R>;
type ByKey<D> = Table<i64, D, RandomState>;

#[derive(Default)]
pub(crate) struct Tpch {
    names: Names,
    regions: ByKey<(i64, Symbol)>,
    nations: ByKey<Nation>,
    suppliers: ByKey<(i64, i64)>,
    customers: ByKey<Customer>,
    orders: ByKey<Order>,
    lines: Table<Symbol, Line, RandomState>,
}

pub(crate) enum Change {
    Region(i64, Option<(i64, Symbol)>),
    Nation(i64, Option<Nation>),
    Supplier(i64, Option<(i64, i64)>),
    Customer(i64, Option<Customer>),
    Order(i64, Option<Order>),
    Line(Symbol, Option<Line>),
}

impl World for Tpch {
    type Change = Change;

    fn decode(&mut self, message: &Message<'_>) -> Change {
        let of = |text: &str| Symbol::of(text, &self.names);
        let key = || message.key.parse().expect("the key is a number");
        match message.kind {
            "region" => {
                let region = |r: row::Region<'_>| (r.r_regionkey, of(&r.r_name));
                Change::Region(key(), message.row().map(region))
            }
            "nation" => {
                let nation = |n: row::Nation<'_>| Nation {
                    key: n.n_nationkey,
                    region: n.n_regionkey,
                    name: of(&n.n_name),
                };
                Change::Nation(key(), message.row().map(nation))
            }
            "supplier" => {
                let supplier = |s: row::Supplier| (s.s_suppkey, s.s_nationkey);
                Change::Supplier(key(), message.row().map(supplier))
            }
            "customer" => {
                let customer = |c: row::Customer<'_>| Customer {
                    key: c.c_custkey,
                    nation: c.c_nationkey,
                    balance: c.c_acctbal,
                    segment: of(&c.c_mktsegment),
                    name: of(&c.c_name),
                    address: of(&c.c_address),
                    phone: of(&c.c_phone),
                    comment: of(&c.c_comment),
                };
                Change::Customer(key(), message.row().map(customer))
            }
            "orders" => {
                let order = |o: row::Order<'_>| Order {
                    key: o.o_orderkey,
                    customer: o.o_custkey,
                    date: date(&o.o_orderdate),
                    priority: o.o_shippriority,
                };
                Change::Order(key(), message.row().map(order))
            }
            _ => {
                let line = |l: row::LineItem<'_>| Line {
                    order: l.l_orderkey,
                    supplier: l.l_suppkey,
                    quantity: l.l_quantity,
                    price: l.l_extendedprice,
                    discount: l.l_discount,
                    tax: l.l_tax,
                    flag: of(&l.l_returnflag),
                    status: of(&l.l_linestatus),
                    shipped: date(&l.l_shipdate),
                };
                Change::Line(of(message.key), message.row().map(line))
            }
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Region(key, row) => self.regions.set(key, row),
            Change::Nation(key, row) => self.nations.set(key, row),
            Change::Supplier(key, row) => self.suppliers.set(key, row),
            Change::Customer(key, row) => self.customers.set(key, row),
            Change::Order(key, row) => self.orders.set(key, row),
            Change::Line(key, row) => self.lines.set(key, row),
        }
    }

    fn advance(&mut self, to: T) {
        self.regions.advance(to);
        self.nations.advance(to);
        self.suppliers.advance(to);
        self.customers.advance(to);
        self.orders.advance(to);
        self.lines.advance(to);
    }

    fn build(&mut self, scope: Scope<'_, T>, queries: &[String]) -> Vec<(String, Box<dyn Live>)> {
        let (regions, nations) = (self.regions.input(scope), self.nations.input(scope));
        let sources = Sources {
            nations: nations.clone(),
            asia: asia(regions, nations, &self.names),
            suppliers: self.suppliers.input(scope),
            customers: self.customers.input(scope),
            orders: self.orders.input(scope),
            lines: self.lines.input(scope),
            names: self.names.clone(),
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
        queries.iter().map(build).collect()
    }
}

struct Sources<'s> {
    nations: Rows<'s, Nation>,
    /// The nations of Q5.
    asia: Rows<'s, Nation>,
    suppliers: Rows<'s, (i64, i64)>,
    customers: Rows<'s, Customer>,
    orders: Rows<'s, Order>,
    lines: Rows<'s, Line>,
    names: Names,
}

fn asia<'s>(
    regions: Rows<'s, (i64, Symbol)>,
    nations: Rows<'s, Nation>,
    names: &Names,
) -> Rows<'s, Nation> {
    let asia = Symbol::of("ASIA", names);
    let regions = regions.filter(move |(_, name)| *name == asia);
    let nations = nations.map(|n| (n.region, n));
    arrange(nations).join_core(arrange(regions), |_, nation, _| Some(*nation))
}

impl Sources<'_> {
    fn q1(&self) -> Box<dyn Live> {
        let out = Output::default();
        let lines = self.lines.clone().filter(|l| l.shipped <= 19_980_902);
        let groups = totals(lines, |l| {
            let charge = l.revenue() * (100 + l.tax);
            let sums = [l.quantity, l.price, l.revenue(), charge, l.discount];
            ((l.flag, l.status), sums)
        });
        sink(groups, &out, Some);
        let (ranks, texts) = (self.names.clone(), self.names.clone());
        type Group = ((Symbol, Symbol), Totals<5>);
        let order = move |((flag, status), _): &Group| (flag.rank(&ranks), status.rank(&ranks));
        let line = move |((flag, status), (n, sums)): &Group| {
            let avg = |i: usize| sums[i] as f64 / *n as f64;
            json!({
                "l_returnflag": flag.text(&texts), "l_linestatus": status.text(&texts), "sum_qty": sums[0],
                "sum_base_price": sums[1], "sum_disc_price": sums[2], "sum_charge": sums[3],
                "avg_qty": avg(0), "avg_price": avg(1), "avg_disc": avg(4), "count_order": n,
            })
        };
        subscriber::<BTreeMap<_, _>, _, _>(out, order, line)
    }

    fn q3(&self) -> Box<dyn Live> {
        let out = Output::default();
        let building = Symbol::of("BUILDING", &self.names);
        let customers = self.customers.clone();
        let customers = customers.flat_map(move |c| (c.segment == building).then_some((c.key, ())));
        let orders = self.orders.clone().filter(|o| o.date < 19_950_315);
        let orders = orders.map(|o| (o.customer, o));
        let orders = arrange(orders).join_core(arrange(customers), |_, o, ()| Some((o.key, *o)));
        let lines = self.lines.clone().filter(|l| l.shipped > 19_950_315);
        let lines = lines.map(|l| (l.order, l));
        let joined = arrange(lines).join_core(arrange(orders), |order, l, o| {
            Some(((*order, o.date, o.priority), l.revenue()))
        });
        let groups = totals(joined, |(key, revenue)| (key, [revenue]));
        type Group = ((i64, i64, i64), Totals<1>);
        let order = |((order, date, _), (_, [revenue])): &Group| (Reverse(*revenue), *date, *order);
        sink(window(groups, 10, order), &out, Some);
        let line = |((order, date, priority), (_, [revenue])): &Group| {
            let date = date_text(*date);
            json!({"l_orderkey": order, "revenue": revenue, "o_orderdate": date, "o_shippriority": priority})
        };
        subscriber::<BTreeMap<_, _>, _, _>(out, order, line)
    }

    fn q5(&self) -> Box<dyn Live> {
        let out = Output::default();
        let asia = self.asia.clone().map(|n| (n.key, n.name));
        let suppliers = self.suppliers.clone().map(|(key, nation)| (nation, key));
        let suppliers = arrange(suppliers).join_core(arrange(asia), |nation, supplier, name| {
            Some(((*supplier, *nation), *name))
        });
        let customers = self.customers.clone().map(|c| (c.key, c.nation));
        let orders = self.orders.clone();
        let orders = orders.filter(|o| (19_940_101..19_950_101).contains(&o.date));
        let orders = arrange(orders.map(|o| (o.customer, o.key)));
        let orders = orders.join_core(arrange(customers), |_, o, nation| Some((*o, *nation)));
        let lines = self.lines.clone();
        let lines = lines.map(|l| (l.order, (l.supplier, l.revenue())));
        let lines = arrange(lines).join_core(arrange(orders), |_, (supplier, revenue), nation| {
            Some(((*supplier, *nation), *revenue))
        });
        let joined = arrange(lines).join_core(arrange(suppliers), |_, revenue, name| {
            Some((*name, *revenue))
        });
        let groups = totals(joined, |(name, revenue)| (name, [revenue]));
        sink(groups, &out, Some);
        type Group = (Symbol, Totals<1>);
        let texts = self.names.clone();
        let order = |(name, (_, [revenue])): &Group| (Reverse(*revenue), *name);
        let line = move |(name, (_, [revenue])): &Group| json!({"n_name": name.text(&texts), "revenue": revenue});
        subscriber::<BTreeMap<_, _>, _, _>(out, order, line)
    }

    fn q6(&self) -> Box<dyn Live> {
        let out = Output::default();
        let lines = self.lines.clone().filter(|l| {
            let dates = 19_940_101..19_950_101;
            dates.contains(&l.shipped) && (5..=7).contains(&l.discount) && l.quantity < 24
        });
        sink(totals(lines, |l| ((), [l.price * l.discount])), &out, Some);
        let line = |((), (_, [revenue])): &((), Totals<1>)| json!({"revenue": revenue});
        subscriber::<HashMap<_, _>, _, _>(out, |_| (), line)
    }

    fn q10(&self) -> Box<dyn Live> {
        let out = Output::default();
        let returned = Symbol::of("R", &self.names);
        let orders = self.orders.clone();
        let orders = orders.filter(|o| (19_931_001..19_940_101).contains(&o.date));
        let orders = orders.map(|o| (o.key, o.customer));
        let lines = self.lines.clone().filter(move |l| l.flag == returned);
        let lines = arrange(lines.map(|l| (l.order, l.revenue())));
        let lines = lines.join_core(arrange(orders), |_, revenue, customer| {
            Some((*customer, *revenue))
        });
        // Grouped by the customer's key, of which all other columns follow.
        let groups = totals(lines, |(customer, revenue)| (customer, [revenue]));
        let groups = groups.map(|(customer, (_, [revenue]))| (customer, revenue));
        let nations = self.nations.clone().map(|n| (n.key, n.name));
        let customers = arrange(self.customers.clone().map(|c| (c.nation, c)));
        let customers =
            customers.join_core(arrange(nations), |_, c, name| Some((c.key, (*c, *name))));
        let joined = arrange(customers).join_core(arrange(groups), |_, (c, nation), revenue| {
            Some((*c, *nation, *revenue))
        });
        type Top = (Customer, Symbol, i64);
        let order = |(c, _, revenue): &Top| (Reverse(*revenue), c.key);
        sink(window(joined, 20, order), &out, Some);
        let texts = self.names.clone();
        let line = move |(c, nation, revenue): &Top| -> Value {
            json!({
                "c_custkey": c.key, "c_name": c.name.text(&texts), "c_acctbal": c.balance,
                "c_phone": c.phone.text(&texts), "c_address": c.address.text(&texts),
                "c_comment": c.comment.text(&texts), "n_name": nation.text(&texts), "revenue": revenue,
            })
        };
        subscriber::<BTreeMap<_, _>, _, _>(out, order, line)
    }
}

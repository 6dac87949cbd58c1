CREATE INDEX nation_key ON nation (n_nationkey);
CREATE INDEX supplier_key ON supplier (s_suppkey);
CREATE INDEX customer_key ON customer (c_custkey);
CREATE INDEX order_key ON orders (o_orderkey);
CREATE INDEX order_customer ON orders (o_custkey);
CREATE INDEX order_date ON orders (o_orderdate);
CREATE INDEX line_order ON lineitem (l_orderkey);
CREATE INDEX line_date ON lineitem (l_shipdate);

CREATE TABLE region (key VARCHAR PRIMARY KEY, r_regionkey BIGINT, r_name VARCHAR);
CREATE TABLE nation (key VARCHAR PRIMARY KEY, n_nationkey BIGINT, n_name VARCHAR, n_regionkey BIGINT);
CREATE TABLE supplier (key VARCHAR PRIMARY KEY, s_suppkey BIGINT, s_nationkey BIGINT);
CREATE TABLE customer (key VARCHAR PRIMARY KEY, c_custkey BIGINT, c_name VARCHAR, c_address VARCHAR, c_nationkey BIGINT,
  c_phone VARCHAR, c_acctbal BIGINT, c_mktsegment VARCHAR, c_comment VARCHAR);
CREATE TABLE orders (key VARCHAR PRIMARY KEY, o_orderkey BIGINT, o_custkey BIGINT, o_orderdate VARCHAR, o_shippriority BIGINT);
CREATE TABLE lineitem (key VARCHAR PRIMARY KEY, l_orderkey BIGINT, l_suppkey BIGINT, l_quantity BIGINT, l_extendedprice BIGINT,
  l_discount BIGINT, l_tax BIGINT, l_returnflag VARCHAR, l_linestatus VARCHAR, l_shipdate VARCHAR);

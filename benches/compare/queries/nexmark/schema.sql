CREATE TABLE person (key VARCHAR PRIMARY KEY, id BIGINT, name VARCHAR, "emailAddress" VARCHAR, "creditCard" VARCHAR, city VARCHAR,
  state VARCHAR, "dateTime" BIGINT, extra VARCHAR);
CREATE TABLE auction (key VARCHAR PRIMARY KEY, id BIGINT, "itemName" VARCHAR, description VARCHAR, "initialBid" BIGINT, reserve BIGINT,
  "dateTime" BIGINT, expires BIGINT, seller BIGINT, category BIGINT, extra VARCHAR);
CREATE TABLE bid (key VARCHAR PRIMARY KEY, auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR,
  "dateTime" BIGINT, extra VARCHAR);
CREATE TABLE side (key VARCHAR PRIMARY KEY, number BIGINT, value VARCHAR);

CREATE INDEX person_id ON person (id);
CREATE INDEX auction_seller ON auction (seller);
CREATE INDEX auction_id ON auction (id);
CREATE INDEX bid_auction ON bid (auction);
CREATE INDEX side_number ON side (number);

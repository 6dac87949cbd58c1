-- title: NEXMark q16: Bids, bidders and auctions of a channel and day
SELECT channel, date_trunc('day', dateTime) AS day,
       max(date_trunc('minute', dateTime)) AS minute,
       count(*) AS totalBids,
       count(*) FILTER (WHERE price < 10000) AS rank1Bids,
       count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2Bids,
       count(*) FILTER (WHERE price >= 1000000) AS rank3Bids,
       count(DISTINCT bidder) AS totalBidders,
       count(DISTINCT bidder) FILTER (WHERE price < 10000) AS rank1Bidders,
       count(DISTINCT bidder) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2Bidders,
       count(DISTINCT bidder) FILTER (WHERE price >= 1000000) AS rank3Bidders,
       count(DISTINCT auction) AS totalAuctions,
       count(DISTINCT auction) FILTER (WHERE price < 10000) AS rank1Auctions,
       count(DISTINCT auction) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2Auctions,
       count(DISTINCT auction) FILTER (WHERE price >= 1000000) AS rank3Auctions
FROM bid
GROUP BY channel, day

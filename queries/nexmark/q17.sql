-- title: NEXMark q17: Prices of an auction and day
SELECT auction, date_trunc('day', dateTime) AS day,
       count(*) AS totalBids,
       count(*) FILTER (WHERE price < 10000) AS rank1Bids,
       count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2Bids,
       count(*) FILTER (WHERE price >= 1000000) AS rank3Bids,
       min(price) AS minPrice, max(price) AS maxPrice, avg(price) AS avgPrice, sum(price) AS sumPrice
FROM bid
GROUP BY auction, day

-- title: NEXMark q7: Highest bids of each ten seconds
WITH most AS (
  SELECT dateTime - dateTime % 10000 AS start, max(price) AS price FROM bid GROUP BY start)
SELECT b.auction, b.price, b.bidder, b.dateTime, b.extra
FROM bid b
JOIN most m ON b.dateTime - b.dateTime % 10000 = m.start AND b.price = m.price

-- title: NEXMark q9: Winning bids
WITH won AS (
  SELECT a.id, max(b.price) AS price, first(b.bidder ORDER BY b.price DESC) AS bidder,
         first(b.dateTime ORDER BY b.price DESC) AS bidTime
  FROM auction a
  JOIN bid b ON a.id = b.auction
  WHERE b.dateTime BETWEEN a.dateTime AND a.expires
  GROUP BY a.id)
SELECT a.id, a.itemName, a.description, a.initialBid, a.reserve, a.dateTime, a.expires, a.seller, a.category,
       w.bidder, w.price, w.bidTime
FROM won w
JOIN auction a ON w.id = a.id

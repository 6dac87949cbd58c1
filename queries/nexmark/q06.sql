-- title: NEXMark q6: Average closing price of a seller's last ten auctions
WITH best AS (
  SELECT a.id, a.seller, b.price, b.dateTime,
         row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.dateTime, b.bidder) AS place
  FROM auction a
  JOIN bid b ON a.id = b.auction AND b.dateTime BETWEEN a.dateTime AND a.expires),
closed AS (
  SELECT id, seller, price, dateTime FROM best WHERE place = 1)
SELECT seller, id,
       avg(price) OVER (PARTITION BY seller ORDER BY dateTime, id
                        ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS price
FROM closed

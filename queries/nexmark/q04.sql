-- title: NEXMark q4: Average closing price by category
WITH closed AS (
  SELECT a.id, a.category, max(b.price) AS final
  FROM auction a
  JOIN bid b ON a.id = b.auction
  WHERE b.dateTime BETWEEN a.dateTime AND a.expires
  GROUP BY a.id, a.category)
SELECT category, avg(final) AS final FROM closed GROUP BY category

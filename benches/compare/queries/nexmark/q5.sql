WITH counts AS (
  SELECT auction, start, count(*) AS num FROM (
    SELECT auction, "dateTime" - "dateTime" % 2000 - hop.start AS start
    FROM bid, (SELECT 0 AS start UNION ALL SELECT 2000 UNION ALL SELECT 4000 UNION ALL SELECT 6000 UNION ALL SELECT 8000) hop
  ) hops GROUP BY auction, start
)
SELECT n.auction, n.start, n.num FROM counts n
JOIN (SELECT start, max(num) AS num FROM counts GROUP BY start) m ON n.start = m.start AND n.num = m.num

-- title: NEXMark q5: Hot auctions
-- Windows of ten seconds, one every two seconds: each bid is in five of them.
WITH hops (auction, start) AS (
  SELECT auction, dateTime - dateTime % 2000 FROM bid
  UNION ALL SELECT auction, dateTime - dateTime % 2000 - 2000 FROM bid
  UNION ALL SELECT auction, dateTime - dateTime % 2000 - 4000 FROM bid
  UNION ALL SELECT auction, dateTime - dateTime % 2000 - 6000 FROM bid
  UNION ALL SELECT auction, dateTime - dateTime % 2000 - 8000 FROM bid),
counts AS (
  SELECT auction, start, count(*) AS num FROM hops GROUP BY auction, start),
most AS (
  SELECT start, max(num) AS num FROM counts GROUP BY start)
SELECT n.auction, n.start, n.num
FROM counts n
JOIN most m ON n.start = m.start AND n.num = m.num

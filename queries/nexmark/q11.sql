-- title: NEXMark q11: Bids of each user and session
-- A session ends when a user does nothing for ten seconds.
WITH steps AS (
  SELECT bidder, dateTime,
         dateTime - lag(dateTime) OVER (PARTITION BY bidder ORDER BY dateTime, auction, price) AS pause
  FROM bid),
sessions AS (
  SELECT bidder, dateTime,
         count(*) FILTER (WHERE pause > 10000) OVER (PARTITION BY bidder ORDER BY dateTime) AS session
  FROM steps)
SELECT bidder, count(*) AS bids, min(dateTime) AS start, max(dateTime) AS last
FROM sessions
GROUP BY bidder, session

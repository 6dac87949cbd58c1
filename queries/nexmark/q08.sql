-- title: NEXMark q8: New users who sell at once
WITH sellers AS (
  SELECT DISTINCT seller, dateTime - dateTime % 10000 AS start FROM auction)
SELECT p.id, p.name, s.start
FROM person p
JOIN sellers s ON p.id = s.seller AND p.dateTime - p.dateTime % 10000 = s.start

SELECT u.country, count(e.id) AS n, sum(e.bytes) AS sum, avg(e.bytes) AS avg, min(e.bytes) AS min, max(e.bytes) AS max
FROM events e JOIN users u ON e."userId" = u.id WHERE u.active GROUP BY u.country

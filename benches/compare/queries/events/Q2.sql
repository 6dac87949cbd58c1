SELECT language, count(id) AS n, sum(bytes) AS bytes FROM events GROUP BY language ORDER BY n DESC, language

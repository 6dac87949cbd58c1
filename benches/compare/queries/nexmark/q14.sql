SELECT auction, bidder, 0.908 * price AS price,
  CASE WHEN hour BETWEEN 8 AND 18 THEN 'dayTime' WHEN hour <= 6 OR hour >= 20 THEN 'nightTime' ELSE 'otherTime' END AS "bidTimeType",
  "dateTime", extra, length(extra) - length(replace(extra, 'c', '')) AS "cCounts"
FROM (SELECT *, ("dateTime" % 86400000 - "dateTime" % 3600000) / 3600000 AS hour FROM bid) b
WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000

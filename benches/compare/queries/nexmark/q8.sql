SELECT p.id, p.name, s.start FROM person p
JOIN (SELECT DISTINCT seller, "dateTime" - "dateTime" % 10000 AS start FROM auction) s
  ON p.id = s.seller AND p."dateTime" - p."dateTime" % 10000 = s.start

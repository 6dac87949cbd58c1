SELECT bidder, "dateTime" - "dateTime" % 10000 AS start, count(*) AS bids FROM bid GROUP BY bidder, "dateTime" - "dateTime" % 10000

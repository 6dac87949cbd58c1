-- title: NEXMark q12: Bids of each user in each ten seconds
SELECT bidder, dateTime - dateTime % 10000 AS start, count(*) AS bids
FROM bid
GROUP BY bidder, start

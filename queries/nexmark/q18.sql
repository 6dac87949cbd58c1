-- title: NEXMark q18: Last bid of a user on an auction
SELECT auction, bidder,
       last(price ORDER BY dateTime) AS price,
       last(channel ORDER BY dateTime) AS channel,
       last(url ORDER BY dateTime) AS url,
       last(dateTime ORDER BY dateTime) AS dateTime,
       last(extra ORDER BY dateTime) AS extra
FROM bid
GROUP BY bidder, auction

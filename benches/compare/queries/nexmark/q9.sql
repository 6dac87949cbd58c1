SELECT id, "itemName", description, "initialBid", reserve, "dateTime", expires, seller, category, bidder, price, "bidTime" FROM (
  SELECT a.*, b.bidder, b.price, b."dateTime" AS "bidTime",
    row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b."dateTime", b.key) AS place
  FROM auction a JOIN bid b ON a.id = b.auction AND b."dateTime" BETWEEN a."dateTime" AND a.expires
) w WHERE place = 1

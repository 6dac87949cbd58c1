SELECT * FROM events WHERE language = 'en' AND bytes > 500

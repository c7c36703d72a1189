-- Views over the tables, made in each schema once the tables are distributed.

CREATE VIEW order_totals AS
SELECT user_id, count(*) AS orders, sum(total) AS spent FROM orders GROUP BY user_id;

CREATE VIEW adults AS
SELECT user_id, name, country FROM users WHERE born < date '1990-01-01';

CREATE VIEW item_names AS
SELECT i.user_id, i.order_id, i.line, p.name, p.category FROM order_items i JOIN products p USING (product_id);

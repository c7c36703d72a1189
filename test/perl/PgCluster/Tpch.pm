package PgCluster::Tpch;

# The tables and the 22 queries of the TPC-H benchmark, for test/tpch and
# bench/run: written from what its specification asks, with rows of our own.
#
# A row's values are hashes of its key, so that each table can be made by itself,
# on any server, in any order, and come out the same.  A scale of 1 has 1,500,000
# orders.

use strict;
use warnings;

# Something that looks random, of a bigint, the same each time: below $limit.
sub below
{
	my ($value, $seed, $limit) = @_;

	return "((hashint8extended($value, $seed) & 4503599627370495) % ($limit))";
}

# One of the words of a list.
sub word
{
	my ($value, $seed, @words) = @_;

	return sprintf "(ARRAY[%s])[%s + 1]", join(', ', map { "'$_'" } @words), below($value, $seed, scalar @words);
}

my @colours = qw(amber azure beige black blue brown coral cream forest green grey ivory khaki lemon lilac
  mint navy olive orange peach pink plum red rose ruby salmon sand silver tan teal violet white yellow);
my @nouns = qw(parcels ledgers crates invoices requests letters pallets deposits quotes samples);
my @adjectives = qw(late special heavy patient idle careful odd loud brief spare);
my @verbs = qw(wait travel vanish arrive rest return gather sink);

# Some words about nothing.
sub remark
{
	my ($value, $seed) = @_;

	return join " || ' ' || ", word($value, $seed, @adjectives), word($value, $seed + 1, @nouns), word($value, $seed + 2, @verbs),
	  word($value, $seed + 3, qw(near behind above without)), word($value, $seed + 4, @adjectives), word($value, $seed + 5, @nouns);
}

sub money
{
	my ($value, $seed, $from, $to) = @_;

	return "(($from * 100 + " . below($value, $seed, ($to - $from) * 100) . ') / 100.0)';
}

sub phone
{
	my ($nation, $value) = @_;

	return "10 + $nation || '-' || 100 + " . below($value, 31, 900) . " || '-' || 100 + " . below($value, 32, 900) . " || '-' || 1000 + " . below($value, 33, 9000);
}

my @nations = (
	[ AFRICA => qw(ALGERIA ETHIOPIA KENYA MOROCCO MOZAMBIQUE) ],
	[ AMERICA => qw(ARGENTINA BRAZIL CANADA PERU), 'UNITED STATES' ],
	[ ASIA => qw(CHINA INDIA INDONESIA JAPAN VIETNAM) ],
	[ EUROPE => qw(FRANCE GERMANY ROMANIA RUSSIA), 'UNITED KINGDOM' ],
	[ 'MIDDLE EAST' => qw(EGYPT IRAN IRAQ JORDAN), 'SAUDI ARABIA' ]);

# What a part costs, and which of its four suppliers sells it.
sub price { return "(900 + $_[0] % 1000 + ($_[0] % 100) / 100.0)"; }
sub seller { return "(($_[0] + $_[1] * ($_[2] / 4)) % $_[2] + 1)"; }

# The tables in the order of loading: name, distribution column (none: a
# reference table), columns, the rows as a query, indexes.
sub tables
{
	my ($scale) = @_;
	my ($suppliers, $parts, $customers, $orders) = map { int($_ * $scale) } 10_000, 200_000, 150_000, 1_500_000;
	my $line = '(o * 8::bigint + n)';
	my $part = '(1 + ' . below($line, 3, $parts) . ')';
	my $ordered = "(date '1992-01-01' + " . below('o', 2, 2406) . '::integer)';
	my $shipped = "$ordered + (1 + " . below($line, 4, 121) . ')::integer';
	my (@region, @nation);

	foreach my $region (0 .. $#nations)
	{
		my ($name, @of) = @{ $nations[$region] };
		push @region, "($region, '$name', 'the continent $region')";
		push @nation, sprintf "(%d, '%s', %d, 'a country')", scalar @nation, $_, $region foreach @of;
	}
	return (
		{
			name => 'region',
			columns => 'r_regionkey integer PRIMARY KEY, r_name char(25), r_comment varchar(152)',
			rows => 'VALUES ' . join(', ', @region)
		},
		{
			name => 'nation',
			columns => 'n_nationkey integer PRIMARY KEY, n_name char(25), n_regionkey integer, n_comment varchar(152)',
			rows => 'VALUES ' . join(', ', @nation)
		},
		{
			name => 'supplier',
			columns => 's_suppkey integer PRIMARY KEY, s_name char(25), s_address varchar(40), s_nationkey integer, s_phone char(15), s_acctbal decimal(15,2), s_comment varchar(101)',
			rows => "SELECT i, 'Supplier ' || lpad(i::text, 9, '0'), " . below('i', 11, 999) . " || ' Dock Road', nation, " . phone('nation', 'i') . ', '
			  . money('i', 13, -999, 9999) . ', ' . remark('i', 14) . " || CASE WHEN i % 50 = 7 THEN ' Customer Complaints' ELSE '' END"
			  . " FROM generate_series(1, $suppliers) i, LATERAL (SELECT " . below('i', 12, 25) . ' AS nation) n'
		},
		{
			name => 'customer',
			key => 'c_custkey',
			columns => 'c_custkey integer PRIMARY KEY, c_name varchar(25), c_address varchar(40), c_nationkey integer, c_phone char(15), c_acctbal decimal(15,2), c_mktsegment char(10), c_comment varchar(117)',
			rows => "SELECT i, 'Customer ' || lpad(i::text, 9, '0'), " . below('i', 21, 999) . " || ' High Street', nation, " . phone('nation', 'i') . ', '
			  . money('i', 23, -999, 9999) . ', ' . word('i', 24, qw(AUTOMOBILE BUILDING FURNITURE MACHINERY HOUSEHOLD)) . ', ' . remark('i', 25)
			  . " FROM generate_series(1, $customers) i, LATERAL (SELECT " . below('i', 22, 25) . ' AS nation) n'
		},
		{
			name => 'part',
			key => 'p_partkey',
			columns => 'p_partkey integer PRIMARY KEY, p_name varchar(55), p_mfgr char(25), p_brand char(10), p_type varchar(25), p_size integer, p_container char(10), p_retailprice decimal(15,2), p_comment varchar(23)',
			rows => 'SELECT i, ' . join(" || ' ' || ", map { word('i', 40 + $_, @colours) } 1 .. 5) . ", 'Manufacturer#' || maker, 'Brand#' || maker || 1 + " . below('i', 47, 5) . ', '
			  . join(" || ' ' || ", word('i', 48, qw(STANDARD SMALL MEDIUM LARGE ECONOMY PROMO)), word('i', 49, qw(ANODIZED BURNISHED PLATED POLISHED BRUSHED)), word('i', 50, qw(TIN NICKEL BRASS STEEL COPPER)))
			  . ', 1 + ' . below('i', 51, 50) . ', ' . join(" || ' ' || ", word('i', 52, qw(SM LG MED JUMBO WRAP)), word('i', 53, qw(CASE BOX BAG JAR PKG PACK CAN DRUM)))
			  . ', ' . price('i') . ', ' . word('i', 54, @nouns) . " FROM generate_series(1, $parts) i, LATERAL (SELECT 1 + " . below('i', 46, 5) . ' AS maker) m'
		},
		{
			name => 'partsupp',
			key => 'ps_partkey',
			columns => 'ps_partkey integer, ps_suppkey integer, ps_availqty integer, ps_supplycost decimal(15,2), ps_comment varchar(199), PRIMARY KEY (ps_partkey, ps_suppkey)',
			indexes => ['ps_suppkey'],
			rows => 'SELECT i, ' . seller('i', 'j', $suppliers) . ', 1 + ' . below('i * 4::bigint + j', 61, 9999) . ', ' . money('i * 4::bigint + j', 62, 1, 1000) . ', '
			  . remark('i * 4::bigint + j', 63) . " FROM generate_series(1, $parts) i, generate_series(0, 3) j"
		},
		{
			name => 'orders',
			key => 'o_orderkey',
			columns => 'o_orderkey bigint PRIMARY KEY, o_custkey integer, o_orderstatus char(1), o_totalprice decimal(15,2), o_orderdate date, o_orderpriority char(15), o_clerk char(15), o_shippriority integer, o_comment varchar(79)',
			indexes => ['o_custkey'],
			# A third of the customers never ordered anything.
			rows => 'SELECT o * 3, c - CASE WHEN c % 3 = 0 THEN 1 ELSE 0 END, ' . "CASE WHEN $ordered > date '1995-06-17' THEN 'O' WHEN $ordered < date '1995-02-16' THEN 'F' ELSE 'P' END, "
			  . money('o', 71, 1000, 400_000) . ", $ordered, " . word('o', 72, '1-URGENT', '2-HIGH', '3-MEDIUM', '4-NOT SPECIFIED', '5-LOW')
			  . ", 'Clerk ' || " . below('o', 73, 1000) . ', 0, ' . remark('o', 74) . " FROM generate_series(1, $orders) o, LATERAL (SELECT 2 + " . below('o', 70, $customers - 2) . ' AS c) x'
		},
		{
			name => 'lineitem',
			key => 'l_orderkey',
			columns => 'l_orderkey bigint, l_partkey integer, l_suppkey integer, l_linenumber integer, l_quantity decimal(15,2), l_extendedprice decimal(15,2), l_discount decimal(15,2), l_tax decimal(15,2), '
			  . 'l_returnflag char(1), l_linestatus char(1), l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct char(25), l_shipmode char(10), l_comment varchar(44), PRIMARY KEY (l_orderkey, l_linenumber)',
			indexes => ['l_partkey, l_suppkey'],
			rows => "SELECT o * 3, part, " . seller('part', below($line, 5, 4), $suppliers) . ', n, quantity, quantity * ' . price('part') . ', '
			  . below($line, 7, 11) . ' / 100.0, ' . below($line, 8, 9) . " / 100.0, CASE WHEN received > date '1995-06-17' THEN 'N' WHEN " . below($line, 9, 2) . " = 0 THEN 'R' ELSE 'A' END, "
			  . "CASE WHEN shipped > date '1995-06-17' THEN 'O' ELSE 'F' END, shipped, $ordered + (30 + " . below($line, 10, 61) . ')::integer, received, '
			  . word($line, 81, 'DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN') . ', ' . word($line, 82, 'REG AIR', qw(AIR RAIL SHIP TRUCK MAIL FOB)) . ', ' . word($line, 83, @nouns)
			  . " FROM generate_series(1, $orders) o, LATERAL generate_series(1, 1 + " . below('o', 1, 7) . "::integer) n, LATERAL (SELECT $part AS part, 1 + " . below($line, 6, 50) . ' AS quantity,'
			  . " $shipped AS shipped) x, LATERAL (SELECT shipped + (1 + " . below($line, 84, 30) . ')::integer AS received) y'
		});
}

# Makes the tables in a schema of a node and fills them.  A distributed lineitem
# goes with orders, and partsupp with part.
sub load
{
	my ($cluster, $scale, %options) = @_;
	my $schema = $options{schema} // 'public';
	my %with = (lineitem => 'orders', partsupp => 'part');
	my $sql = "CREATE SCHEMA IF NOT EXISTS $schema; SET search_path = $schema;\n";

	foreach my $table (tables($scale))
	{
		my $name = $table->{name};
		my $with = $with{$name} // 'none';

		$sql .= "CREATE TABLE $name ($table->{columns});\n";
		$sql .= "CREATE INDEX ON $name ($_);\n" foreach @{ $table->{indexes} // [] };
		$sql .= 'SELECT ' . ($table->{key} ? "create_distributed_table('$name', '$table->{key}', colocate_with => '$with')" : "create_reference_table('$name')") . ";\n"
		  if $options{distribute};
		$sql .= "INSERT INTO $name $table->{rows};\nANALYZE $name;\n";
	}
	$cluster->sql('c', $sql);
	return;
}

# Where the specification leaves an order of rows open, a key decides.
our @queries = (
	<<'END',
SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty, sum(l_extendedprice) AS sum_base_price,
    sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price, sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge,
    avg(l_quantity) AS avg_qty, avg(l_extendedprice) AS avg_price, avg(l_discount) AS avg_disc, count(*) AS count_order
FROM lineitem
WHERE l_shipdate <= date '1998-12-01' - interval '90 days'
GROUP BY l_returnflag, l_linestatus
ORDER BY l_returnflag, l_linestatus
END
	<<'END',
SELECT s_acctbal, s_name, n_name, p_partkey, p_mfgr, s_address, s_phone, s_comment
FROM part, supplier, partsupp, nation, region
WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey AND p_size = 15 AND p_type LIKE '%BRASS'
    AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'EUROPE'
    AND ps_supplycost = (
        SELECT min(ps_supplycost) FROM partsupp, supplier, nation, region
        WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey AND s_nationkey = n_nationkey
            AND n_regionkey = r_regionkey AND r_name = 'EUROPE')
ORDER BY s_acctbal DESC, n_name, s_name, p_partkey
LIMIT 100
END
	<<'END',
SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate, o_shippriority
FROM customer, orders, lineitem
WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey AND l_orderkey = o_orderkey
    AND o_orderdate < date '1995-03-15' AND l_shipdate > date '1995-03-15'
GROUP BY l_orderkey, o_orderdate, o_shippriority
ORDER BY revenue DESC, o_orderdate, l_orderkey
LIMIT 10
END
	<<'END',
SELECT o_orderpriority, count(*) AS order_count
FROM orders
WHERE o_orderdate >= date '1993-07-01' AND o_orderdate < date '1993-07-01' + interval '3 months'
    AND EXISTS (SELECT * FROM lineitem WHERE l_orderkey = o_orderkey AND l_commitdate < l_receiptdate)
GROUP BY o_orderpriority
ORDER BY o_orderpriority
END
	<<'END',
SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
FROM customer, orders, lineitem, supplier, nation, region
WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey AND c_nationkey = s_nationkey
    AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'ASIA'
    AND o_orderdate >= date '1994-01-01' AND o_orderdate < date '1994-01-01' + interval '1 year'
GROUP BY n_name
ORDER BY revenue DESC
END
	<<'END',
SELECT sum(l_extendedprice * l_discount) AS revenue
FROM lineitem
WHERE l_shipdate >= date '1994-01-01' AND l_shipdate < date '1994-01-01' + interval '1 year'
    AND l_discount BETWEEN 0.06 - 0.01 AND 0.06 + 0.01 AND l_quantity < 24
END
	<<'END',
SELECT supp_nation, cust_nation, l_year, sum(volume) AS revenue
FROM (
    SELECT n1.n_name AS supp_nation, n2.n_name AS cust_nation, extract(year FROM l_shipdate) AS l_year,
        l_extendedprice * (1 - l_discount) AS volume
    FROM supplier, lineitem, orders, customer, nation n1, nation n2
    WHERE s_suppkey = l_suppkey AND o_orderkey = l_orderkey AND c_custkey = o_custkey
        AND s_nationkey = n1.n_nationkey AND c_nationkey = n2.n_nationkey
        AND (n1.n_name = 'FRANCE' AND n2.n_name = 'GERMANY' OR n1.n_name = 'GERMANY' AND n2.n_name = 'FRANCE')
        AND l_shipdate BETWEEN date '1995-01-01' AND date '1996-12-31') AS shipping
GROUP BY supp_nation, cust_nation, l_year
ORDER BY supp_nation, cust_nation, l_year
END
	<<'END',
SELECT o_year, sum(CASE WHEN nation = 'BRAZIL' THEN volume ELSE 0 END) / sum(volume) AS mkt_share
FROM (
    SELECT extract(year FROM o_orderdate) AS o_year, l_extendedprice * (1 - l_discount) AS volume, n2.n_name AS nation
    FROM part, supplier, lineitem, orders, customer, nation n1, nation n2, region
    WHERE p_partkey = l_partkey AND s_suppkey = l_suppkey AND l_orderkey = o_orderkey AND o_custkey = c_custkey
        AND c_nationkey = n1.n_nationkey AND n1.n_regionkey = r_regionkey AND r_name = 'AMERICA'
        AND s_nationkey = n2.n_nationkey AND o_orderdate BETWEEN date '1995-01-01' AND date '1996-12-31'
        AND p_type = 'ECONOMY ANODIZED STEEL') AS all_nations
GROUP BY o_year
ORDER BY o_year
END
	<<'END',
SELECT nation, o_year, sum(amount) AS sum_profit
FROM (
    SELECT n_name AS nation, extract(year FROM o_orderdate) AS o_year,
        l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity AS amount
    FROM part, supplier, lineitem, partsupp, orders, nation
    WHERE s_suppkey = l_suppkey AND ps_suppkey = l_suppkey AND ps_partkey = l_partkey AND p_partkey = l_partkey
        AND o_orderkey = l_orderkey AND s_nationkey = n_nationkey AND p_name LIKE '%green%') AS profit
GROUP BY nation, o_year
ORDER BY nation, o_year DESC
END
	<<'END',
SELECT c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) AS revenue, c_acctbal, n_name, c_address, c_phone, c_comment
FROM customer, orders, lineitem, nation
WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND o_orderdate >= date '1993-10-01'
    AND o_orderdate < date '1993-10-01' + interval '3 months' AND l_returnflag = 'R' AND c_nationkey = n_nationkey
GROUP BY c_custkey, c_name, c_acctbal, c_phone, n_name, c_address, c_comment
ORDER BY revenue DESC, c_custkey
LIMIT 20
END
	<<'END',
SELECT ps_partkey, sum(ps_supplycost * ps_availqty) AS value
FROM partsupp, supplier, nation
WHERE ps_suppkey = s_suppkey AND s_nationkey = n_nationkey AND n_name = 'GERMANY'
GROUP BY ps_partkey
HAVING sum(ps_supplycost * ps_availqty) > (
    SELECT sum(ps_supplycost * ps_availqty) * 0.002 FROM partsupp, supplier, nation
    WHERE ps_suppkey = s_suppkey AND s_nationkey = n_nationkey AND n_name = 'GERMANY')
ORDER BY value DESC, ps_partkey
END
	<<'END',
SELECT l_shipmode, sum(CASE WHEN o_orderpriority = '1-URGENT' OR o_orderpriority = '2-HIGH' THEN 1 ELSE 0 END) AS high_line_count,
    sum(CASE WHEN o_orderpriority <> '1-URGENT' AND o_orderpriority <> '2-HIGH' THEN 1 ELSE 0 END) AS low_line_count
FROM orders, lineitem
WHERE o_orderkey = l_orderkey AND l_shipmode IN ('MAIL', 'SHIP') AND l_commitdate < l_receiptdate AND l_shipdate < l_commitdate
    AND l_receiptdate >= date '1994-01-01' AND l_receiptdate < date '1994-01-01' + interval '1 year'
GROUP BY l_shipmode
ORDER BY l_shipmode
END
	<<'END',
SELECT c_count, count(*) AS custdist
FROM (
    SELECT c_custkey, count(o_orderkey)
    FROM customer LEFT JOIN orders ON c_custkey = o_custkey AND o_comment NOT LIKE '%special%requests%'
    GROUP BY c_custkey) AS c_orders (c_custkey, c_count)
GROUP BY c_count
ORDER BY custdist DESC, c_count DESC
END
	<<'END',
SELECT 100.00 * sum(CASE WHEN p_type LIKE 'PROMO%' THEN l_extendedprice * (1 - l_discount) ELSE 0 END)
    / sum(l_extendedprice * (1 - l_discount)) AS promo_revenue
FROM lineitem, part
WHERE l_partkey = p_partkey AND l_shipdate >= date '1995-09-01' AND l_shipdate < date '1995-09-01' + interval '1 month'
END
	<<'END',
WITH revenue (supplier_no, total_revenue) AS (
    SELECT l_suppkey, sum(l_extendedprice * (1 - l_discount)) FROM lineitem
    WHERE l_shipdate >= date '1996-01-01' AND l_shipdate < date '1996-01-01' + interval '3 months'
    GROUP BY l_suppkey)
SELECT s_suppkey, s_name, s_address, s_phone, total_revenue
FROM supplier, revenue
WHERE s_suppkey = supplier_no AND total_revenue = (SELECT max(total_revenue) FROM revenue)
ORDER BY s_suppkey
END
	<<'END',
SELECT p_brand, p_type, p_size, count(DISTINCT ps_suppkey) AS supplier_cnt
FROM partsupp, part
WHERE p_partkey = ps_partkey AND p_brand <> 'Brand#45' AND p_type NOT LIKE 'MEDIUM POLISHED%'
    AND p_size IN (49, 14, 23, 45, 19, 3, 36, 9)
    AND ps_suppkey NOT IN (SELECT s_suppkey FROM supplier WHERE s_comment LIKE '%Customer%Complaints%')
GROUP BY p_brand, p_type, p_size
ORDER BY supplier_cnt DESC, p_brand, p_type, p_size
END
	<<'END',
SELECT sum(l_extendedprice) / 7.0 AS avg_yearly
FROM lineitem, part
WHERE p_partkey = l_partkey AND p_brand = 'Brand#23' AND p_container = 'MED BOX'
    AND l_quantity < (SELECT 0.2 * avg(l_quantity) FROM lineitem WHERE l_partkey = p_partkey)
END
	<<'END',
SELECT c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity)
FROM customer, orders, lineitem
WHERE o_orderkey IN (SELECT l_orderkey FROM lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > 270)
    AND c_custkey = o_custkey AND o_orderkey = l_orderkey
GROUP BY c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice
ORDER BY o_totalprice DESC, o_orderdate, o_orderkey
LIMIT 100
END
	<<'END',
SELECT sum(l_extendedprice * (1 - l_discount)) AS revenue
FROM lineitem, part
WHERE p_partkey = l_partkey AND p_brand = 'Brand#12' AND p_container IN ('SM CASE', 'SM BOX', 'SM PACK', 'SM PKG')
        AND l_quantity BETWEEN 1 AND 11 AND p_size BETWEEN 1 AND 5 AND l_shipmode IN ('AIR', 'REG AIR') AND l_shipinstruct = 'DELIVER IN PERSON'
    OR p_partkey = l_partkey AND p_brand = 'Brand#23' AND p_container IN ('MED BAG', 'MED BOX', 'MED PKG', 'MED PACK')
        AND l_quantity BETWEEN 10 AND 20 AND p_size BETWEEN 1 AND 10 AND l_shipmode IN ('AIR', 'REG AIR') AND l_shipinstruct = 'DELIVER IN PERSON'
    OR p_partkey = l_partkey AND p_brand = 'Brand#34' AND p_container IN ('LG CASE', 'LG BOX', 'LG PACK', 'LG PKG')
        AND l_quantity BETWEEN 20 AND 30 AND p_size BETWEEN 1 AND 15 AND l_shipmode IN ('AIR', 'REG AIR') AND l_shipinstruct = 'DELIVER IN PERSON'
END
	<<'END',
SELECT s_name, s_address
FROM supplier, nation
WHERE s_suppkey IN (
        SELECT ps_suppkey FROM partsupp
        WHERE ps_partkey IN (SELECT p_partkey FROM part WHERE p_name LIKE 'forest%')
            AND ps_availqty > (
                SELECT 0.5 * sum(l_quantity) FROM lineitem
                WHERE l_partkey = ps_partkey AND l_suppkey = ps_suppkey
                    AND l_shipdate >= date '1994-01-01' AND l_shipdate < date '1994-01-01' + interval '1 year'))
    AND s_nationkey = n_nationkey AND n_name = 'CANADA'
ORDER BY s_name
END
	<<'END',
SELECT s_name, count(*) AS numwait
FROM supplier, lineitem l1, orders, nation
WHERE s_suppkey = l1.l_suppkey AND o_orderkey = l1.l_orderkey AND o_orderstatus = 'F' AND l1.l_receiptdate > l1.l_commitdate
    AND EXISTS (SELECT * FROM lineitem l2 WHERE l2.l_orderkey = l1.l_orderkey AND l2.l_suppkey <> l1.l_suppkey)
    AND NOT EXISTS (
        SELECT * FROM lineitem l3
        WHERE l3.l_orderkey = l1.l_orderkey AND l3.l_suppkey <> l1.l_suppkey AND l3.l_receiptdate > l3.l_commitdate)
    AND s_nationkey = n_nationkey AND n_name = 'SAUDI ARABIA'
GROUP BY s_name
ORDER BY numwait DESC, s_name
LIMIT 100
END
	<<'END',
SELECT cntrycode, count(*) AS numcust, sum(c_acctbal) AS totacctbal
FROM (
    SELECT substring(c_phone FROM 1 FOR 2) AS cntrycode, c_acctbal FROM customer
    WHERE substring(c_phone FROM 1 FOR 2) IN ('13', '31', '23', '29', '30', '18', '17')
        AND c_acctbal > (
            SELECT avg(c_acctbal) FROM customer
            WHERE c_acctbal > 0.00 AND substring(c_phone FROM 1 FOR 2) IN ('13', '31', '23', '29', '30', '18', '17'))
        AND NOT EXISTS (SELECT * FROM orders WHERE o_custkey = c_custkey)) AS custsale
GROUP BY cntrycode
ORDER BY cntrycode
END
);

1;

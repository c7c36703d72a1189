-- What holds for everything in the extension; each query names what breaks it.
CREATE EXTENSION pgcluster;
CREATE VIEW members AS
SELECT classid, objid, pg_describe_object(classid, objid, 0) AS object
FROM pg_depend
WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pgcluster');

-- Everything that a user can name has a comment.
SELECT object
FROM members
WHERE classid IN ('pg_proc'::regclass, 'pg_namespace'::regclass)
    AND obj_description(objid, classid::regclass::name) IS NULL
UNION ALL
SELECT object
FROM members JOIN pg_class ON oid = objid
WHERE classid = 'pg_class'::regclass AND relkind IN ('r', 'v') AND obj_description(objid, 'pg_class') IS NULL
ORDER BY 1;

-- What users call is in pg_catalog, all else in pgcluster.
SELECT object
FROM members JOIN pg_proc ON oid = objid
WHERE classid = 'pg_proc'::regclass AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'pgcluster'::regnamespace)
UNION ALL
SELECT object
FROM members JOIN pg_class ON oid = objid
WHERE classid = 'pg_class'::regclass AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'pgcluster'::regnamespace)
ORDER BY 1;

-- No function finds its objects through the caller's search_path, or runs with its owner's rights.
SELECT object
FROM members JOIN pg_proc p ON p.oid = objid JOIN pg_language l ON l.oid = prolang
WHERE classid = 'pg_proc'::regclass AND lanname NOT IN ('c', 'internal')
    AND NOT coalesce(proconfig::text LIKE '%search_path=%', prosqlbody IS NOT NULL)
ORDER BY 1;
SELECT object
FROM members JOIN pg_proc ON oid = objid
WHERE classid = 'pg_proc'::regclass AND prosecdef AND NOT coalesce(proconfig::text LIKE '%search_path=%', false)
ORDER BY 1;

-- Nobody but superusers changes catalogs.
SELECT object, grantee::regrole, privilege_type
FROM members JOIN pg_class ON oid = objid, aclexplode(relacl) AS a
WHERE classid = 'pg_class'::regclass AND privilege_type NOT IN ('SELECT', 'USAGE') AND grantee <> relowner
ORDER BY 1, 2, 3;

-- Who is not named may call these functions; what changes the cluster is not among them.
SELECT objid::regprocedure
FROM members JOIN pg_proc ON oid = objid
WHERE classid = 'pg_proc'::regclass
    AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE a.grantee = 0)
ORDER BY objid::regprocedure::text COLLATE "C";

DROP VIEW members;
DROP EXTENSION pgcluster;

-- Distributes each table as soon as it is created: by the first column by which
-- that is possible, or else as a reference table, or else it stays as it is.
CREATE SCHEMA distribute;
CREATE TABLE distribute.made (name text, kind text, why text);
CREATE TABLE distribute.parents (name text);
GRANT USAGE ON SCHEMA distribute TO PUBLIC;
GRANT ALL ON distribute.made, distribute.parents TO PUBLIC;

CREATE FUNCTION distribute.table(new regclass) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    name name;
    why text;
BEGIN
    FOR name IN SELECT attname FROM pg_attribute WHERE attrelid = new AND attnum > 0 AND NOT attisdropped ORDER BY attnum LIMIT 4 LOOP
        BEGIN
            PERFORM create_distributed_table(new, name, colocate_with => 'none', shard_count => 2);
            RETURN 'distributed';
        EXCEPTION WHEN feature_not_supported OR wrong_object_type OR undefined_function OR invalid_table_definition THEN
            why := SQLERRM;
        END;
    END LOOP;
    PERFORM create_reference_table(new);
    RETURN 'reference';
EXCEPTION WHEN OTHERS THEN
    RETURN 'local: ' || SQLERRM;
END
$$;

CREATE FUNCTION distribute.tables() RETURNS event_trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    made record;
    what text;
BEGIN
    FOR made IN SELECT objid, object_identity FROM pg_catalog.pg_event_trigger_ddl_commands() d
        JOIN pg_catalog.pg_class c ON c.oid = d.objid
        WHERE d.object_type = 'table' AND c.relkind = 'r' AND c.relpersistence <> 't' AND NOT c.relispartition
            AND c.relname NOT IN (SELECT name FROM distribute.parents)
    LOOP
        what := distribute.table(made.objid);
        INSERT INTO distribute.made VALUES (made.object_identity, split_part(what, ':', 1), what);
    END LOOP;
END
$$;
CREATE EVENT TRIGGER distribute ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION distribute.tables();

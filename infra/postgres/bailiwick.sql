-- Lends roles to agents, through a gateway of Bailiwick (docs/how-to/gateway-postgres.md).
-- A superuser runs this once in each database that agents may reach: psql -v ON_ERROR_STOP=1 -f bailiwick.sql
--
-- The gateway signs in as a broker, which may call the functions below and do nothing else. So a gateway that was taken over can lend the
-- templates that a DBA has listed for its broker. It can make no other role, and it reads no table.

BEGIN;

CREATE SCHEMA bailiwick;
REVOKE ALL ON SCHEMA bailiwick FROM PUBLIC;

-- What may be lent. A DBA adds a row. `role` is a role without login, whose privileges a lent role gets.
CREATE TABLE bailiwick.templates (
  role name PRIMARY KEY,
  broker name NOT NULL,
  most_seconds integer NOT NULL DEFAULT 900 CHECK (most_seconds BETWEEN 1 AND 28800),
  logs_statements boolean NOT NULL DEFAULT false
);

-- What is lent now. The row appears and goes in one transaction with its role.
CREATE TABLE bailiwick.loans (
  role name PRIMARY KEY,
  template name NOT NULL,
  broker name NOT NULL,
  -- The connection of the gateway that asked for it. When it is gone, the loan is a stray.
  keeper_pid integer NOT NULL,
  keeper_start timestamptz NOT NULL,
  ends_at timestamptz NOT NULL
);

-- Why a role must not be a template; null if it may be one. A lent role is a member of no role, so that SET ROLE leads nowhere. It therefore
-- gets copies of the template's own privileges, and each kind of privilege that cannot be copied is refused here.
CREATE FUNCTION bailiwick.template_fault(template name) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE
    WHEN r.oid IS NULL THEN 'no such role'
    WHEN r.rolsuper THEN 'the template is a superuser'
    WHEN r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls THEN
      'the template has CREATEROLE, CREATEDB, REPLICATION or BYPASSRLS'
    WHEN r.rolcanlogin THEN 'the template can log in'
    -- Not of a lent role, of this database or another: up to PostgreSQL 14 an agent can grant its own, which gives nothing.
    WHEN EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid
      AND NOT (g.rolname ~ '^bailiwick_' AND g.rolconnlimit = 1 AND g.rolvaliduntil IS NOT NULL)) THEN
      'the template is a member of a role'
    WHEN EXISTS (SELECT FROM pg_shdepend d
      WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o') THEN
      'the template owns something'
    WHEN EXISTS (SELECT FROM pg_shdepend d
      WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'r') THEN
      'a policy of row-level security names the template: it would not hold for a lent role'
    WHEN EXISTS (SELECT FROM pg_shdepend d
      WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'a'
        AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        AND d.classid NOT IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_namespace'::regclass, 'pg_type'::regclass,
          'pg_database'::regclass, 'pg_default_acl'::regclass)) THEN
      'the template has a privilege on something other than a table, sequence, routine, schema, type or database'
    WHEN has_database_privilege(r.oid, current_database(), 'CREATE')
      OR EXISTS (SELECT FROM pg_namespace n
        WHERE has_schema_privilege(r.oid, n.oid, 'CREATE') AND NOT n.nspname ~ '^pg_(toast_)?temp_') THEN
      'the template may create objects, which would go with a lent role'
    WHEN EXISTS (SELECT FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantee IN (r.oid, 0) AND a.privilege_type = 'TRIGGER') THEN
      'the template has TRIGGER on a table: a trigger outlives the loan, and runs with the rights of the next to write there'
    WHEN EXISTS (SELECT FROM pg_db_role_setting s WHERE s.setrole = r.oid) THEN
      'the template has settings (ALTER ROLE … SET): a lent role would not have them'
    WHEN current_setting('max_prepared_transactions')::integer > 0 THEN
      'max_prepared_transactions is not 0: a prepared transaction would outlive a lent role'
  END
  FROM (SELECT template) asked LEFT JOIN pg_roles r ON r.rolname = asked.template
$$;

-- The privileges of a template in this database, each as the beginning of a GRANT. Options to grant are left out.
CREATE FUNCTION bailiwick.privileges(template name) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH r AS (SELECT oid FROM pg_roles WHERE rolname = template)
  SELECT format('GRANT %s ON %s %s', a.privilege_type, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass)
    FROM r, pg_class c, aclexplode(c.relacl) a WHERE a.grantee = r.oid
  UNION ALL SELECT format('GRANT %s (%I) ON TABLE %s', a.privilege_type, c.attname, c.attrelid::regclass)
    FROM r, pg_attribute c, aclexplode(c.attacl) a WHERE a.grantee = r.oid AND NOT c.attisdropped
  UNION ALL SELECT format('GRANT %s ON ROUTINE %s', a.privilege_type, p.oid::regprocedure)
    FROM r, pg_proc p, aclexplode(p.proacl) a WHERE a.grantee = r.oid
  UNION ALL SELECT format('GRANT %s ON SCHEMA %I', a.privilege_type, n.nspname)
    FROM r, pg_namespace n, aclexplode(n.nspacl) a WHERE a.grantee = r.oid
  UNION ALL SELECT format('GRANT %s ON TYPE %s', a.privilege_type, t.oid::regtype)
    FROM r, pg_type t, aclexplode(t.typacl) a WHERE a.grantee = r.oid
  UNION ALL SELECT format('GRANT %s ON DATABASE %I', a.privilege_type, d.datname)
    FROM r, pg_database d, aclexplode(d.datacl) a WHERE a.grantee = r.oid AND d.datname = current_database()
$$;

-- The sessions that must end before a role can be dropped: its own, and those of other lent roles that hold a lock on the role or on what it
-- owns. An agent with two connections could otherwise keep a role that was withdrawn. A session of a role that is not lent is never ended.
CREATE FUNCTION bailiwick.sessions_of(lent name) RETURNS SETOF integer
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.pid FROM pg_roles r, pg_stat_activity a
    -- Parallel workers end with their leader.
    WHERE r.rolname = lent AND a.backend_type = 'client backend' AND (a.usename = lent
      OR a.usename IN (SELECT l.role FROM bailiwick.loans l) AND EXISTS (SELECT FROM pg_locks k WHERE k.pid = a.pid AND k.granted AND (
        k.locktype = 'object' AND k.classid = 'pg_authid'::regclass AND k.objid = r.oid
        OR EXISTS (SELECT FROM pg_shdepend d
          WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o' AND d.dbid = k.database AND (
            k.locktype = 'relation' AND d.classid = 'pg_class'::regclass AND d.objid = k.relation
            OR k.locktype = 'object' AND d.classid = k.classid AND d.objid = k.objid)))))
$$;

-- Ends the sessions of a role and waits for each to be gone, then drops the role. Nothing if there is no such role.
CREATE FUNCTION bailiwick.drop_lent(lent name) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  session integer;
BEGIN
  IF lent !~ '^bailiwick_' THEN RAISE EXCEPTION 'no lent role'; END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = lent) THEN
    -- What this transaction has seen of sessions may be old.
    PERFORM pg_stat_clear_snapshot();
    FOR session IN SELECT bailiwick.sessions_of(lent) LOOP
      IF NOT pg_terminate_backend(session, 5000) THEN
        -- One that ended by itself just now cannot be ended.
        PERFORM pg_stat_clear_snapshot();
        IF EXISTS (SELECT FROM pg_stat_activity WHERE pid = session) THEN
          RAISE EXCEPTION 'a session of % does not end', lent;
        END IF;
      END IF;
    END LOOP;
    EXECUTE format('DROP OWNED BY %I CASCADE', lent);
    EXECUTE format('DROP ROLE %I', lent);
  END IF;
  DELETE FROM bailiwick.loans WHERE role = lent;
END $$;

-- Makes a role with the privileges of a template, and says whether statements are logged. `verifier`: of SCRAM-SHA-256, so that no password
-- is in a statement.
CREATE FUNCTION bailiwick.lend(template name, lent name, verifier text, seconds integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  listed bailiwick.templates;
  fault text;
  privilege text;
  -- The gateway ends the connection in time. The database does so if the gateway is late.
  until timestamptz := now() + make_interval(secs => seconds + 30);
BEGIN
  SELECT * INTO listed FROM bailiwick.templates t WHERE t.role = template AND t.broker = session_user;
  IF listed IS NULL THEN RAISE EXCEPTION 'no template of that name for this broker'; END IF;
  IF seconds NOT BETWEEN 1 AND listed.most_seconds THEN
    RAISE EXCEPTION 'the template is lent for at most % seconds', listed.most_seconds;
  END IF;
  IF lent !~ '^bailiwick_[A-Za-z0-9_-]{1,50}$' OR verifier !~ '^SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$'
  THEN RAISE EXCEPTION 'malformed'; END IF;
  fault := bailiwick.template_fault(template);
  IF fault IS NOT NULL THEN RAISE EXCEPTION '%', fault; END IF;
  -- Two GRANTs on one object at the same time fail. No agent can take this lock.
  LOCK TABLE bailiwick.loans IN SHARE ROW EXCLUSIVE MODE;
  EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS'
    ' CONNECTION LIMIT 1 PASSWORD %L VALID UNTIL %L', lent, verifier, until);
  FOR privilege IN SELECT bailiwick.privileges(template) LOOP
    EXECUTE format('%s TO %I', privilege, lent);
  END LOOP;
  INSERT INTO bailiwick.loans
    SELECT lent, template, session_user, pid, backend_start, until FROM pg_stat_activity WHERE pid = pg_backend_pid();
  RETURN listed.logs_statements;
END $$;

-- Closes the door behind the one session of a lent role: no password, known or changed, opens another.
CREATE FUNCTION bailiwick.close_door(lent name) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM bailiwick.loans l WHERE l.role = lent AND l.broker = session_user;
  IF NOT FOUND THEN RAISE EXCEPTION 'no such loan'; END IF;
  EXECUTE format('ALTER ROLE %I NOLOGIN', lent);
END $$;

-- Cancels what runs for a lent role.
CREATE FUNCTION bailiwick.cancel(lent name) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT pg_cancel_backend(a.pid) FROM bailiwick.loans l JOIN pg_stat_activity a ON a.usename = l.role
    WHERE l.role = lent AND l.broker = session_user
$$;

-- Ends a loan. Nothing if it is over.
CREATE FUNCTION bailiwick.reclaim(lent name) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Before the lock: dropping another role may hold it for long, and a withdrawn session must not run on meanwhile.
  PERFORM pg_terminate_backend(a.pid) FROM bailiwick.loans l JOIN pg_stat_activity a ON a.usename = l.role
    WHERE l.role = lent AND l.broker = session_user AND a.backend_type = 'client backend';
  LOCK TABLE bailiwick.loans IN SHARE ROW EXCLUSIVE MODE;
  PERFORM FROM bailiwick.loans l WHERE l.role = lent AND l.broker = session_user;
  IF FOUND THEN PERFORM bailiwick.drop_lent(lent); END IF;
END $$;

-- Ends every loan that is past its time, or whose gateway is gone. Returns how many. One that cannot be ended keeps no other.
CREATE FUNCTION bailiwick.sweep() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  stray name;
  swept integer := 0;
BEGIN
  LOCK TABLE bailiwick.loans IN SHARE ROW EXCLUSIVE MODE;
  FOR stray IN SELECT l.role FROM bailiwick.loans l
    WHERE l.broker = session_user AND (l.ends_at < now() OR NOT EXISTS (SELECT FROM pg_stat_activity a
      WHERE a.pid = l.keeper_pid AND a.backend_start = l.keeper_start)) LOOP
    BEGIN
      PERFORM bailiwick.drop_lent(stray);
      swept := swept + 1;
    EXCEPTION WHEN OTHERS THEN RAISE WARNING 'the role % cannot be dropped yet: %', stray, SQLERRM;
    END;
  END LOOP;
  RETURN swept;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bailiwick FROM PUBLIC;

-- Lets a role act as a broker. A DBA calls it once for each gateway's login.
CREATE PROCEDURE bailiwick.add_broker(broker name)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA bailiwick TO %I', broker);
  EXECUTE format('GRANT EXECUTE ON FUNCTION bailiwick.lend(name, name, text, integer), bailiwick.close_door(name),'
    ' bailiwick.cancel(name), bailiwick.reclaim(name), bailiwick.sweep() TO %I', broker);
END $$;
REVOKE ALL ON PROCEDURE bailiwick.add_broker(name) FROM PUBLIC;

COMMIT;

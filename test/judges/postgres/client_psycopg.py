"""python client_psycopg.py URL: what a program with psycopg does, one answer a line."""

import json
import sys
import threading

import psycopg


def say(value):
    print(json.dumps(value))


with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    say(connection.execute("SELECT count(*) FROM orders").fetchone()[0])
    with connection.transaction(force_rollback=True):
        connection.execute("UPDATE orders SET note = %s WHERE id = %s", ("by psycopg", 1))
        say(connection.execute("SELECT note FROM orders WHERE id = %s", (1,), prepare=True).fetchone()[0])
    for statement in ("SELECT * FROM salaries", "SET ROLE orders_clerk"):
        try:
            connection.execute(statement)
        except psycopg.Error as error:
            say(error.sqlstate)
    with connection.cursor().copy("COPY (SELECT id FROM orders ORDER BY id) TO STDOUT") as rows:
        say(sum(1 for _ in rows.rows()))
    threading.Timer(1, connection.cancel).start()
    try:
        connection.execute("SELECT pg_sleep(3600)")
    except psycopg.Error as error:
        say(error.sqlstate)
    say(connection.execute("SELECT 6 * 7").fetchone()[0])

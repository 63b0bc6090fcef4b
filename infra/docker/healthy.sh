#!/bin/bash
# The image's health check: exit 0 while this container's service says that it is ready. The slim image has no curl, and
# starting Node every few seconds would cost more than the service does at rest.
exec 3<>"/dev/tcp/127.0.0.1/${BAILIWICK_PORT:-8420}" || exit 1
printf 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
read -r -t 2 _ status _ <&3
[ "$status" = 200 ]

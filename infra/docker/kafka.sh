#!/bin/bash
# Starts one Kafka broker inside the official image (which cannot make SCRAM users by itself): SASL_SSL with SCRAM-SHA-512
# for every client, ACLs, no anonymous access; packages/bus/KAFKA.md §6 adapted to one node. At its first start it makes
# the broker's certificate and formats its storage with the users whose passwords are in USERS.
# One broker has one copy of everything, which is enough for a trial. In production run three (docs/operate/kafka.md).
set -euo pipefail
umask 077
KAFKA=${KAFKA:-/opt/kafka}
DATA=${DATA:-/var/lib/kafka/data}
SECRETS=${SECRETS:-/etc/kafka/secrets} # a volume of its own: clients mount it for ca.pem
USERS=${USERS:-/kafka-users}
NAME=${NAME:-kafka} # the host name that clients use
PORT=${PORT:-9093}
work=${WORK:-/tmp}

user() { cat "$USERS/$1"; }

keystore=$DATA/keystore.p12
if [ ! -s "$keystore" ]; then
  # Self-signed: clients trust this certificate only, and there is no authority's key to protect.
  head -c 24 /dev/urandom | base64 | tr -d '\n' >"$DATA/keystore.password"
  keytool -genkeypair -alias broker -keyalg EC -groupname secp256r1 -validity 3650 -dname "CN=broker" \
    -ext "SAN=dns:$NAME,dns:localhost,ip:127.0.0.1" -ext EKU=serverAuth,clientAuth \
    -storetype PKCS12 -keystore "$keystore.new" -storepass:file "$DATA/keystore.password"
  mv "$keystore.new" "$keystore"
fi
keytool -exportcert -rfc -alias broker -keystore "$keystore" -storepass:file "$DATA/keystore.password" >"$SECRETS/ca.pem.new"
chmod 0644 "$SECRETS/ca.pem.new"
chmod 0755 "$SECRETS"
mv "$SECRETS/ca.pem.new" "$SECRETS/ca.pem"

cat >"$work/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${CONTROLLER_PORT:-9094}
controller.listener.names=CONTROLLER
inter.broker.listener.name=SASL_SSL
listeners=SASL_SSL://${LISTEN:-}:$PORT,CONTROLLER://127.0.0.1:${CONTROLLER_PORT:-9094}
advertised.listeners=SASL_SSL://$NAME:$PORT
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="broker" password="$(user broker)";
ssl.keystore.type=PKCS12
ssl.keystore.location=$keystore
ssl.keystore.password=$(cat "$DATA/keystore.password")
ssl.truststore.type=PEM
ssl.truststore.location=$SECRETS/ca.pem
ssl.enabled.protocols=TLSv1.3
listener.name.controller.ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^CN=([^,]+).*\$/\$1/,DEFAULT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:broker;User:admin
allow.everyone.if.no.acl.found=false
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=600
log.dirs=$DATA/log
PROPERTIES

if [ ! -e "$DATA/log/meta.properties" ]; then
  scram=()
  for file in "$USERS"/*; do
    name=$(basename "$file")
    scram+=(--add-scram "SCRAM-SHA-512=[name=$name,password=\"$(user "$name")\"]")
  done
  "$KAFKA/bin/kafka-storage.sh" format -t "$("$KAFKA/bin/kafka-storage.sh" random-uuid)" -c "$work/server.properties" "${scram[@]}"
fi

export LOG_DIR=$work/logs EXTRA_ARGS='-name kafkaServer' # no file of garbage collections
exec "$KAFKA/bin/kafka-server-start.sh" "$work/server.properties"

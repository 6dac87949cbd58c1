#!/bin/sh
# Makes the certificates that tests use. The authority's key is not kept.
set -eu
cd "$(dirname "$0")"
key=$(mktemp)
trap 'rm -f "$key" request.pem' EXIT
openssl ecparam -name prime256v1 -genkey -noout -out "$key"
openssl req -x509 -new -key "$key" -days 36500 -subj "/CN=Tailwater's tests" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign" -out authority.pem
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out server.key.pem
openssl req -new -key server.key.pem -subj "/CN=localhost" -out request.pem
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n' |
    openssl x509 -req -in request.pem -CA authority.pem -CAkey "$key" -set_serial 2 -days 36500 -extfile /dev/stdin -out server.pem

#!/usr/bin/env bash
# Makes the certificates of this folder with openssl 3.0: `tests/certificates/make.sh`, from anywhere. They are for tests of what is
# trusted. Their keys protect nothing. Each is what `openssl req -x509` writes, with the extensions that its line adds; only
# `openssl ca` takes dates, and tests must not depend on the day on which this ran.
set -euo pipefail
cd "$(dirname "$0")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
names="subjectAltName=DNS:localhost,IP:127.0.0.1,DNS:*.mixpanel.test"
authority="basicConstraints=critical,CA:TRUE"
none="basicConstraints=critical,CA:FALSE"

made() { # name, first and last second, extensions
    local name="$1" first="$2" last="$3"; shift 3
    openssl req -newkey rsa:2048 -sha256 -nodes -keyout "$name.key" -out "$work/csr" -subj "/CN=127.0.0.1"
    : > "$work/index.txt"
    printf '%s\n' '[ca]' 'default_ca=own' '[own]' "database=$work/index.txt" 'unique_subject=no' 'rand_serial=yes' "new_certs_dir=$work" \
        'default_md=sha256' 'policy=any' 'x509_extensions=extensions' '[any]' 'commonName=supplied' '[extensions]' \
        'subjectKeyIdentifier=hash' 'authorityKeyIdentifier=keyid:always' "$@" > "$work/config"
    openssl ca -batch -selfsign -config "$work/config" -notext -keyfile "$name.key" -in "$work/csr" -out "$name.pem" \
        -startdate "$first" -enddate "$last"
}
always=(20000101000000Z 21251231235959Z)
made self-signed "${always[@]}" "$authority" "$names"
made no-authority "${always[@]}" "$none" "$names"
made other-name "${always[@]}" "$authority" "subjectAltName=DNS:other.example,IP:192.0.2.1"
made no-name "${always[@]}" "$authority"
made for-clients "${always[@]}" "$none" "$names" "extendedKeyUsage=clientAuth"
made expired 20000101000000Z 20201231235959Z "$authority" "$names"
made not-yet-valid 21190101000000Z 21251231235959Z "$authority" "$names"

# Signed by a private authority, which is in no file.
made issued "${always[@]}" "$none" "$names"
openssl req -x509 -newkey rsa:2048 -sha256 -nodes -keyout "$work/ca.key" -out "$work/ca.pem" -subj "/CN=mpflags test authority"
openssl ca -batch -config "$work/config" -notext -cert "$work/ca.pem" -keyfile "$work/ca.key" -in "$work/csr" -out issued.pem \
    -startdate "${always[0]}" -enddate "${always[1]}"

# Version 1: `x509 -req` of openssl 3.0 without an extension. Whether it is valid yet does not matter.
openssl req -newkey rsa:2048 -sha256 -nodes -keyout version-1.key -out "$work/csr" -subj "/CN=127.0.0.1"
openssl x509 -req -in "$work/csr" -signkey version-1.key -days 36500 -out version-1.pem

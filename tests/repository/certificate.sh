#!/bin/sh
# Gives the repository's server a certificate in the host's name and addresses, once.
set -e
folder=/etc/repository
[ -e $folder/certificate.pem ] && exit 0
names="DNS:$(hostname)"
for address in $(hostname -I); do
    names="$names,IP:$address"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$(hostname)" \
    -addext "subjectAltName=$names" -keyout $folder/key.pem -out $folder/certificate.new 2>/dev/null
mv $folder/certificate.new $folder/certificate.pem

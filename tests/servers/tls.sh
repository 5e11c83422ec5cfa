#!/usr/bin/env bash
# tls.sh DIR [SECONDS]: makes, for tests of TLS, in DIR
#   ca.pem                  an authority
#   other-ca.pem            another one, which has signed nothing
#   server.pem, .key        a certificate of ca.pem for 127.0.0.1 and localhost
#   wronghost.pem, .key     one of ca.pem for another host
#   expired.pem, .key       one of ca.pem for 127.0.0.1 and localhost that has expired
# With SECONDS it adds to these
#   brief.pem, .key         one of ca.pem for 127.0.0.1 and localhost that expires then
set -eu
seconds=${2:-}
mkdir -p "$1"
cd "$1"
{
    [ -n "$seconds" ] || for ca in ca other-ca; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $ca.key -out $ca.pem \
            -days 3650 -subj "/CN=Twinrow test $ca" \
            -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
    done
    # `openssl ca` is the one command that takes a beginning and an end of one's choice.
    touch index.txt
    echo 'unique_subject = no' >index.txt.attr
    echo 01 >serial
    cat >ca.conf <<'CONF'
[ca]
default_ca = test
[test]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
copy_extensions = copy
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
CONF
    certificate() { # NAME SAN BEGIN END
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" \
            -subj "/CN=Twinrow test $1" -addext "subjectAltName=$2"
        openssl ca -batch -notext -config ca.conf -cert ca.pem -keyfile ca.key -in "$1.csr" -out "$1.pem" \
            -startdate "$3" -enddate "$4"
        rm "$1.csr"
    }
    here=IP:127.0.0.1,DNS:localhost
    if [ -n "$seconds" ]; then
        certificate brief $here 20200101000000Z "$(date -u -d "+$seconds seconds" +%Y%m%d%H%M%SZ)"
    else
        certificate server $here 20200101000000Z 20450101000000Z
        certificate wronghost DNS:elsewhere.example 20200101000000Z 20450101000000Z
        certificate expired $here 20200101000000Z 20210101000000Z
    fi
    rm -f index.txt* serial* ca.conf ./0?.pem
} >log 2>&1 </dev/null || { cat log >&2 && exit 1; }

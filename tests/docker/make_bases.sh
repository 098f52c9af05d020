#!/usr/bin/env bash
# Stand-ins for python:3.13-slim and postgres:17, of Debian's own packages, for a Docker that can pull no images.
# As root, in a minute; needs debootstrap. `docker rmi python:3.13-slim postgres:17 debian:trixie-slim` removes them.
set -euo pipefail

for image in python:3.13-slim postgres:17 debian:trixie-slim; do
    if docker image inspect "$image" >/dev/null 2>&1; then
        echo "$image is there already" >&2
        exit 1
    fi
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
debootstrap --variant=minbase --include=ca-certificates,netbase,tzdata trixie "$folder/debian" >"$folder/log" 2>&1 ||
    { tail "$folder/log" >&2; exit 1; }
cp -L /etc/ssl/certs/ca-certificates.crt "$folder/debian/etc/ssl/certs/"  # a proxy's own among them
tar -C "$folder/debian" --exclude='./var/cache/apt/archives/*.deb' -c . | docker import - debian:trixie-slim >/dev/null

docker build --quiet --tag python:3.13-slim - <<'END'
FROM debian:trixie-slim
RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv python3-pip \
    && rm -rf /var/lib/apt/lists/* && ln -s /usr/bin/python3 /usr/local/bin/python
END

# What the official image does for compose.yaml: a database and a password, and a server that ends by SIGINT.
cat >"$folder/docker-entrypoint.sh" <<'END'
#!/bin/bash
set -e
[ "$1" = postgres ] || exec "$@"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    gosu postgres sh -c 'echo "$POSTGRES_PASSWORD" >/tmp/password
        initdb --username=postgres --pwfile=/tmp/password --auth-host=scram-sha-256 && rm /tmp/password'
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    sed -i -E 's/^(host .*(127.0.0.1|::1).*) \S+$/\1 trust/' "$PGDATA/pg_hba.conf"
    echo "create database ${POSTGRES_DB:-postgres}" | gosu postgres postgres --single postgres
fi
exec gosu postgres "$@" -c listen_addresses='*'
END
cat >"$folder/Dockerfile" <<'END'
FROM debian:trixie-slim
RUN groupadd -r postgres --gid=999 && useradd -r -g postgres --uid=999 --home-dir=/var/lib/postgresql postgres
RUN apt-get update && apt-get install --yes --no-install-recommends gosu postgresql-common \
    && sed -ri 's/#(create_main_cluster) .*$/\1 = false/' /etc/postgresql-common/createcluster.conf \
    && apt-get install --yes --no-install-recommends postgresql-17 && rm -rf /var/lib/apt/lists/*
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/17/bin LANG=C.UTF-8 \
    PGDATA=/var/lib/postgresql/data
RUN install --directory --owner postgres --group postgres --mode 1777 "$PGDATA"
VOLUME /var/lib/postgresql/data
COPY docker-entrypoint.sh /usr/local/bin/
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
CMD ["postgres"]
END
chmod 755 "$folder/docker-entrypoint.sh"
mkdir "$folder/postgres" && mv "$folder/Dockerfile" "$folder/docker-entrypoint.sh" "$folder/postgres"
docker build --quiet --tag postgres:17 "$folder/postgres"

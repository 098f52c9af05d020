# Postgres with pg_cron, for compose.yaml. On Supabase there is one already.
FROM postgres:17
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-17-cron \
    && rm -rf /var/lib/apt/lists/*
CMD ["postgres", "-c", "shared_preload_libraries=pg_cron", "-c", "cron.database_name=pgmedia"]

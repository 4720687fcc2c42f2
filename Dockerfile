# Two stages: the first installs what uv.lock says, every file checked against its hash, with the steps of `make setup`
# less the tools of development; the second has no installer.
FROM python:3.12-slim AS build
RUN pip install --no-cache-dir uv==0.13.8
ENV UV_PROJECT_ENVIRONMENT=/opt/penstock UV_PYTHON=/usr/local/bin/python3 UV_PYTHON_DOWNLOADS=never \
    UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
WORKDIR /source
COPY pyproject.toml uv.lock ./
# The dependencies by themselves first: they change less often than the code.
RUN uv sync --frozen --no-dev --no-install-project
COPY . .
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.12-slim
RUN groupadd --system --gid 10001 penstock \
    && useradd --system --uid 10001 --gid penstock --no-create-home --shell /usr/sbin/nologin penstock \
    && install -d -o penstock -g penstock -m 0700 /data
COPY --from=build /opt/penstock /opt/penstock
COPY --from=build /source/configs /app/configs
# A container's address is its own: who may reach it is said by whoever publishes the port.
ENV PATH=/opt/penstock/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    PENSTOCK_DATA_DIR=/data PENSTOCK_HOST=0.0.0.0
WORKDIR /app
USER penstock
# Everything that is written is written here: the root may be read-only.
VOLUME /data
EXPOSE 8080 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\", 8080)}/readyz', timeout=2)"]
ENTRYPOINT ["penstock"]
CMD ["serve"]

# syntax=docker/dockerfile:1
# vLLM and the gateway in one image: docs/deploy.md. Needs BuildKit (or buildah).
#
#   docker build -t vllm-gateway .
#   docker build -t vllm-gateway --secret id=hf_token,src=token.txt --build-arg MODEL_NAME=… --build-arg MODEL_REVISION=… .
#   docker build --target tests .        the unit tests, by the Python that the image has
#
# CUDA 12.9, not 13: it also runs on the driver 535 that Cloud Run has for the L4. A digest behind the tag
# (vllm/vllm-openai:v0.32.0-cu129@sha256:…) makes the build repeatable to the byte.
ARG BASE_IMAGE=vllm/vllm-openai:v0.32.0-cu129
ARG MODEL_NAME=deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B
ARG MODEL_REVISION=ad9f0ae0864d7fbcd1cd905e3c6c5b069cc8b562

# ---- the model's files; `none` as its revision bakes none in
FROM ${BASE_IMAGE} AS weights
ARG MODEL_NAME
ARG MODEL_REVISION
ARG HF_ENDPOINT=https://huggingface.co
COPY launch/fetch_model.py /tmp/fetch_model.py
# The token is a file in memory for this one command, and becomes part of no layer.
RUN --mount=type=secret,id=hf_token \
    python3 /tmp/fetch_model.py "$MODEL_NAME" "$MODEL_REVISION" /opt/model \
    && chmod -R u=rwX,go=rX /opt/model

# ---- the gateway's own Python packages, exactly as locked, and without pip
FROM ${BASE_IMAGE} AS gateway
COPY requirements.txt /tmp/
RUN python3 -m venv --without-pip /opt/gateway \
    && python3 -m pip --python /opt/gateway/bin/python install --no-cache-dir --disable-pip-version-check \
       --require-hashes --no-deps --only-binary :all: -r /tmp/requirements.txt

# ---- for `--target tests`; nothing of it gets into the image
FROM gateway AS tests
WORKDIR /src
COPY requirements-dev.txt /tmp/
RUN python3 -m pip --python /opt/gateway/bin/python install --no-cache-dir --disable-pip-version-check \
    --require-hashes --no-deps --only-binary :all: -r /tmp/requirements-dev.txt
COPY . .
RUN /opt/gateway/bin/python -m pytest -q -p no:cacheprovider tests/unit

# ---- what runs, compiled here since nobody can write to it later
FROM ${BASE_IMAGE} AS code
WORKDIR /app
COPY app app
COPY entrypoint.sh gunicorn.conf.py wsgi.py LICENSE ./
RUN chmod -R u=rwX,go=rX . && chmod 755 entrypoint.sh \
    && python3 -m compileall -q --invalidation-mode unchecked-hash .

# ---- the image. What changes least comes first. No build tool is added; the base has a C compiler and needs it,
# since Triton compiles kernels while vLLM runs.
FROM ${BASE_IMAGE} AS image
# It starts as root to become two users, neither of whom may read the other's memory or files; see entrypoint.sh.
# Nothing that listens or serves runs as root. `--user 10001` runs both as that one user instead.
# hadolint ignore=DL3002
USER 0
# The base has a user vllm of its own. What would change a user by a bit of its file is nothing that runs here.
RUN if id vllm >/dev/null 2>&1; then userdel vllm; fi \
    && groupadd --gid 10001 gateway && groupadd --gid 10002 vllm \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/vllm-gateway --shell /usr/sbin/nologin gateway \
    && useradd --uid 10002 --gid 10002 --no-create-home --home-dir /var/cache/vllm --shell /usr/sbin/nologin vllm \
    && install -d -m 0700 -o gateway -g gateway /var/lib/vllm-gateway \
    && install -d -m 0700 -o vllm -g vllm /var/cache/vllm \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && chmod go-w /etc/passwd /etc/group
COPY --from=weights /opt/model /opt/model
COPY --from=gateway /opt/gateway /opt/gateway
COPY --from=code /app /app

WORKDIR /app
ARG BASE_IMAGE
ARG MODEL_NAME
ARG MODEL_REVISION
ARG VERSION=0.1.0
ARG REVISION=unknown
ENV HOST=0.0.0.0 \
    GATEWAY_PYTHON=/opt/gateway/bin/python \
    VLLM_PYTHON=/usr/bin/python3 \
    GATEWAY_USER=gateway \
    VLLM_USER=vllm \
    MODEL_NAME=${MODEL_NAME} \
    MODEL_PATH=/opt/model \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    USAGE_DATABASE=/var/lib/vllm-gateway/usage.db
LABEL org.opencontainers.image.title="vllm-gateway" \
      org.opencontainers.image.description="vLLM with a gateway in front: API keys, byte-exact streaming" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      vllm-gateway.model.name="${MODEL_NAME}" \
      vllm-gateway.model.revision="${MODEL_REVISION}"
EXPOSE 8080
STOPSIGNAL SIGTERM
# Alive, not ready: a model that loads is no reason to start the container anew.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/opt/gateway/bin/python", "-I", "-c", "import http.client, os, sys; \
         gateway = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 8080), timeout=4); \
         gateway.request('GET', '/health/live'); sys.exit(gateway.getresponse().status != 200)"]
ENTRYPOINT ["/app/entrypoint.sh"]
CMD []

# syntax=docker/dockerfile:1
# The four images of Tastemaker: control, train, assistant, llm. `make images` builds them all.
# Each RUN calls one script of images/, which runs without Docker too (tests/images).

# A version tag; its digest is known only where a registry can be asked: BASE_DIGEST=@sha256:...
ARG BASE=docker.io/library/python:3.11.14-slim-bookworm
ARG BASE_DIGEST=
# cpu or cuda; control and assistant are alike in both.
ARG VARIANT=cpu

# Optional folder of wheels that no index has (`--build-context wheels=/path`): torch's CPU build.
FROM scratch AS wheels

FROM ${BASE}${BASE_DIGEST} AS base

FROM base AS builder
ENV UV_CACHE_DIR=/root/.cache/uv PYTHONDONTWRITEBYTECODE=1
WORKDIR /build
COPY locks/build.lock locks/
COPY images/__init__.py images/make_tools.py images/
RUN --mount=type=cache,target=/root/.cache python -m images.make_tools
COPY locks/install.py locks/
COPY images/make_venv.py images/

FROM builder AS package
COPY pyproject.toml README.md LICENSE ./
COPY images/install_package.py images/
COPY platform platform
RUN --mount=type=cache,target=/root/.cache \
    python -m images.install_package /opt/venv /opt/package

# What is read at run time; it changes more often than code.
FROM scratch AS files
COPY helm helm
COPY manifests manifests
COPY pipelines/compiled pipelines/compiled
COPY pipelines/flows pipelines/flows
COPY LICENSE images/health.py ./

FROM builder AS venv-control
ARG VARIANT
COPY locks/control.lock locks/
RUN --mount=type=cache,target=/root/.cache --mount=type=bind,from=wheels,target=/wheels \
    PIP_FIND_LINKS=/wheels python -m images.make_venv control ${VARIANT} /opt/venv
COPY images/trim.py images/
RUN python -m images.trim /opt/venv

FROM venv-control AS sbom-control
ARG VARIANT
COPY pyproject.toml README.md ./
COPY images/sbom.py images/
RUN --mount=type=cache,target=/root/.cache \
    python -m images.sbom control ${VARIANT} /opt/venv /opt/sbom/sbom.cdx.json

FROM builder AS venv-train
ARG VARIANT
COPY locks/train.lock locks/train-cuda.lock locks/
RUN --mount=type=cache,target=/root/.cache --mount=type=bind,from=wheels,target=/wheels \
    PIP_FIND_LINKS=/wheels python -m images.make_venv train ${VARIANT} /opt/venv
COPY images/trim.py images/
RUN python -m images.trim /opt/venv

FROM venv-train AS sbom-train
ARG VARIANT
COPY pyproject.toml README.md ./
COPY images/sbom.py images/
RUN --mount=type=cache,target=/root/.cache \
    python -m images.sbom train ${VARIANT} /opt/venv /opt/sbom/sbom.cdx.json

FROM builder AS venv-assistant
ARG VARIANT
COPY locks/assistant.lock locks/
RUN --mount=type=cache,target=/root/.cache --mount=type=bind,from=wheels,target=/wheels \
    PIP_FIND_LINKS=/wheels python -m images.make_venv assistant ${VARIANT} /opt/venv
COPY images/trim.py images/
RUN python -m images.trim /opt/venv

FROM venv-assistant AS sbom-assistant
ARG VARIANT
COPY pyproject.toml README.md ./
COPY images/sbom.py images/
RUN --mount=type=cache,target=/root/.cache \
    python -m images.sbom assistant ${VARIANT} /opt/venv /opt/sbom/sbom.cdx.json

FROM builder AS venv-llm
ARG VARIANT
COPY locks/llm.lock locks/llm-cuda.lock locks/
RUN --mount=type=cache,target=/root/.cache --mount=type=bind,from=wheels,target=/wheels \
    PIP_FIND_LINKS=/wheels python -m images.make_venv llm ${VARIANT} /opt/venv
COPY images/trim.py images/
RUN python -m images.trim /opt/venv

FROM venv-llm AS sbom-llm
ARG VARIANT
COPY pyproject.toml README.md ./
COPY images/sbom.py images/
RUN --mount=type=cache,target=/root/.cache \
    python -m images.sbom llm ${VARIANT} /opt/venv /opt/sbom/sbom.cdx.json

FROM base AS runtime
RUN --mount=type=bind,source=images,target=/images sh /images/runtime_base.sh
# The root is read-only: every cache of every library goes to /tmp.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/home/tastemaker USER=tastemaker LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    TASTEMAKER_ROOT=/opt/tastemaker \
    XDG_CACHE_HOME=/tmp/cache XDG_CONFIG_HOME=/tmp/config \
    MPLCONFIGDIR=/tmp/matplotlib NUMBA_CACHE_DIR=/tmp/numba \
    HF_HOME=/tmp/huggingface TORCH_HOME=/tmp/torch \
    TORCHINDUCTOR_CACHE_DIR=/tmp/torchinductor TRITON_CACHE_DIR=/tmp/triton \
    VLLM_CACHE_ROOT=/tmp/vllm VLLM_CONFIG_ROOT=/tmp/vllm-config RAY_TMPDIR=/tmp \
    VLLM_NO_USAGE_STATS=1 RAY_USAGE_STATS_ENABLED=0 FEAST_USAGE=False DO_NOT_TRACK=1 \
    PREFECT_HOME=/tmp/prefect PREFECT_SERVER_ANALYTICS_ENABLED=false \
    LANCE_LOG=error NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--"]

FROM runtime AS control
ARG VARIANT
RUN --mount=type=bind,source=images,target=/images sh /images/role_packages.sh control ${VARIANT}
COPY --from=venv-control /opt/venv /opt/venv
COPY --from=package /opt/package /opt/venv
COPY --from=sbom-control /opt/sbom /opt/tastemaker
COPY --from=files / /opt/tastemaker
ENV TASTEMAKER_HEALTH_URL=
USER 10001:10001
WORKDIR /home/tastemaker
RUN --mount=type=bind,source=images,target=/build/images \
    PYTHONPATH=/build python -m images.check_image control ${VARIANT}
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 \
    CMD ["python", "/opt/tastemaker/health.py"]
CMD ["tastemaker", "--help"]
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="tastemaker-control" \
      org.opencontainers.image.description="CLI, pipelines, charts and checks" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      io.tastemaker.variant="${VARIANT}"

FROM runtime AS train
ARG VARIANT
RUN --mount=type=bind,source=images,target=/images sh /images/role_packages.sh train ${VARIANT}
COPY --from=venv-train /opt/venv /opt/venv
COPY --from=package /opt/package /opt/venv
COPY --from=sbom-train /opt/sbom /opt/tastemaker
COPY --from=files / /opt/tastemaker
ENV TASTEMAKER_HEALTH_URL=
USER 10001:10001
WORKDIR /home/tastemaker
RUN --mount=type=bind,source=images,target=/build/images \
    PYTHONPATH=/build python -m images.check_image train ${VARIANT}
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 \
    CMD ["python", "/opt/tastemaker/health.py"]
CMD ["tastemaker", "--help"]
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="tastemaker-train" \
      org.opencontainers.image.description="Jobs: data, training, evaluation" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      io.tastemaker.variant="${VARIANT}"

FROM runtime AS assistant
ARG VARIANT
COPY --from=venv-assistant /opt/venv /opt/venv
COPY --from=package /opt/package /opt/venv
COPY --from=sbom-assistant /opt/sbom /opt/tastemaker
COPY --from=files / /opt/tastemaker
ENV TASTEMAKER_HEALTH_URL=http://127.0.0.1:8400/healthz
USER 10001:10001
WORKDIR /home/tastemaker
RUN --mount=type=bind,source=images,target=/build/images \
    PYTHONPATH=/build python -m images.check_image assistant ${VARIANT}
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "/opt/tastemaker/health.py"]
CMD ["python", "-m", "tastemaker.assistant.gateway"]
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="tastemaker-assistant" \
      org.opencontainers.image.description="Gateway, tools and model servers" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      io.tastemaker.variant="${VARIANT}"

FROM runtime AS llm
ARG VARIANT
RUN --mount=type=bind,source=images,target=/images sh /images/role_packages.sh llm ${VARIANT}
COPY --from=venv-llm /opt/venv /opt/venv
COPY --from=package /opt/package /opt/venv
COPY --from=sbom-llm /opt/sbom /opt/tastemaker
COPY --from=files / /opt/tastemaker
ENV TASTEMAKER_HEALTH_URL=http://127.0.0.1:8000/health
USER 10001:10001
WORKDIR /home/tastemaker
RUN --mount=type=bind,source=images,target=/build/images \
    PYTHONPATH=/build python -m images.check_image llm ${VARIANT}
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 \
    CMD ["python", "/opt/tastemaker/health.py"]
CMD ["python", "-m", "vllm.entrypoints.openai.api_server", "--model", "/mnt/models/model"]
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="tastemaker-llm" \
      org.opencontainers.image.description="The router's engine: vLLM with our plug-in" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      io.tastemaker.variant="${VARIANT}"

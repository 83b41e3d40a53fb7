{{- define "model.env.router" -}}
HOME: /home/tastemaker
HF_HUB_OFFLINE: "1"
OMP_NUM_THREADS: "1"
PYTHONUNBUFFERED: "1"
TOKENIZERS_PARALLELISM: "false"
TRANSFORMERS_OFFLINE: "1"
VLLM_CACHE_ROOT: /home/tastemaker/vllm-cache
VLLM_ENABLE_V1_MULTIPROCESSING: "0"
VLLM_NO_USAGE_STATS: "1"
VLLM_PLUGINS: tastemaker
{{- end }}

{{/* Specification of one bundle. Takes root, bundle, track. */}}
{{- define "model.llm" -}}
{{- $root := .root }}
{{- $split := gt (int $root.Values.router.prefill.replicas) 0 }}
labels: {{- include "model.podLabels" . | nindent 2 }}
model:
  name: router
  uri: {{ $root.Values.home }}/bundles/{{ .bundle }}/model
  {{- with $root.Values.router.lora }}
  {{- if .adapters }}
  lora:
    maxRank: {{ .maxRank }}
    maxAdapters: {{ .maxLoaded }}
    adapters:
      {{- range $name, $uri := .adapters }}
      - { name: {{ $name }}, uri: {{ $uri | quote }} }
      {{- end }}
  {{- end }}
  {{- end }}
{{ include "model.llmScale" . }}
router:
  gateway: {}
  route:
    {{- if $root.Values.canary.bundle }}
    group: {{ $root.Release.Name }}
    weight: {{ ternary $root.Values.canary.weight (sub 100 $root.Values.canary.weight) (eq .track "canary") }}
    {{- else }} {}
    {{- end }}
  {{- if or $split (gt (int $root.Values.replicas.max) 1) }}
  scheduler: {{- include "model.scheduler" $root | nindent 4 }}
  {{- end }}
template: {{- include "model.llmTemplate" (dict "root" $root "bundle" .bundle "port" (ternary 8001 $root.Values.router.port $split)) | nindent 2 }}
{{- if $split }}
prefill:
  labels: {{- include "model.podLabels" . | nindent 4 }}
  replicas: {{ $root.Values.router.prefill.replicas }}
  template: {{- include "model.llmTemplate" (dict "root" $root "bundle" .bundle "port" $root.Values.router.port) | nindent 4 }}
{{- end }}
{{- end }}

{{- define "model.llmScale" -}}
{{- if and (eq .track "stable") (eq .root.Values.autoscaling.class "keda") -}}
scaling:
  minReplicas: {{ .root.Values.replicas.min }}
  maxReplicas: {{ .root.Values.replicas.max }}
  keda:
    pollingInterval: {{ .root.Values.autoscaling.pollingSeconds }}
    cooldownPeriod: {{ .root.Values.autoscaling.cooldownSeconds }}
    triggers:
      - type: prometheus
        metricType: AverageValue
        metadata:
          serverAddress: {{ .root.Values.autoscaling.prometheus }}
          query: {{ include "model.query" .root | quote }}
          threshold: {{ .root.Values.autoscaling.target | quote }}
{{- else -}}
replicas: {{ .root.Values.replicas.min }}
{{- end }}
{{- end }}

{{- define "model.llmTemplate" -}}
{{- $values := .root.Values }}
{{- include "model.pod" .root }}
containers:
  - name: main
    command: [python, -m, vllm.entrypoints.openai.api_server]
    args: {{- include "model.vllmArgs" . | nindent 6 }}
    {{- include "model.container" .root | nindent 4 }}
    env: {{- include "model.env" .root | nindent 6 }}
      - name: TASTEMAKER_BUNDLE
        value: {{ .bundle | quote }}
      {{- if gt (int $values.router.prefill.replicas) 0 }}
      - name: VLLM_NIXL_SIDE_CHANNEL_HOST
        valueFrom: { fieldRef: { fieldPath: status.podIP } }
      {{- end }}
    ports:
      - { name: http, containerPort: {{ .port }}, protocol: TCP }
    {{- include "model.vllmProbes" . | nindent 4 }}
    volumeMounts:
      - { name: tmp, mountPath: /tmp }
      - { name: home, mountPath: /home/tastemaker }
      {{- if $values.router.tls.enabled }}
      # the volume comes with KServe's own template, which this one is merged over
      - { name: tls-certs, mountPath: {{ $values.router.tls.path }}, readOnly: true }
      {{- end }}
{{- end }}

{{- define "model.vllmProbes" -}}
{{- $scheme := ternary "HTTPS" "HTTP" .root.Values.router.tls.enabled }}
startupProbe:
  httpGet: { path: /health, port: {{ .port }}, scheme: {{ $scheme }} }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: {{ div .root.Values.startupSeconds 5 }}
readinessProbe:
  httpGet: { path: /health, port: {{ .port }}, scheme: {{ $scheme }} }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
livenessProbe:
  httpGet: { path: /health, port: {{ .port }}, scheme: {{ $scheme }} }
  periodSeconds: 10
  timeoutSeconds: 10
  failureThreshold: 6
lifecycle:
  preStop: # routes forget a pod a moment after it is told to stop
    sleep: { seconds: 5 }
{{- end }}

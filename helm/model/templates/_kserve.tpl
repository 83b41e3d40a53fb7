{{/* Predictor of one bundle. Takes root, bundle, track. */}}
{{- define "model.predictor" -}}
{{- $root := .root }}
{{- if eq .track "canary" }}
name: canary
{{- end }}
minReplicas: {{ $root.Values.replicas.min }}
maxReplicas: {{ $root.Values.replicas.max }}
{{- if and (eq .track "stable") (ne $root.Values.autoscaling.class "none") }}
{{- include "model.autoscaling" $root | nindent 0 }}
{{- end }}
labels: {{- include "model.podLabels" . | nindent 2 }}
storageUris:
  - uri: {{ $root.Values.home }}/bundles/{{ .bundle }}
    mountPath: /mnt/models
{{ include "model.pod" $root }}
containers:
  - name: kserve-container
    command: [python, -m, tastemaker.serving.{{ $root.Values.model }}_server]
    args:
      - --model-dir
      - /mnt/models
      - --http-port
      - "8080"
      - --host
      - 0.0.0.0
      {{- range $root.Values.extraArgs }}
      - {{ . | quote }}
      {{- end }}
    {{- include "model.container" $root | nindent 4 }}
    env: {{- include "model.env" $root | nindent 6 }}
    ports:
      - { name: http, containerPort: 8080, protocol: TCP }
    {{- include "model.kserveProbes" $root | nindent 4 }}
    volumeMounts:
      - { name: tmp, mountPath: /tmp }
      - { name: home, mountPath: /home/tastemaker }
{{- end }}

{{- define "model.kserveProbes" -}}
startupProbe:
  httpGet: { path: /v1/models/{{ .Values.model }}, port: 8080 }
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: {{ div .Values.startupSeconds 5 }}
readinessProbe:
  httpGet: { path: /v1/models/{{ .Values.model }}, port: 8080 }
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 3
livenessProbe:
  httpGet: { path: /v2/health/live, port: 8080 }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
lifecycle:
  preStop: # routes forget a pod a moment after it is told to stop
    sleep: { seconds: 5 }
{{- end }}

{{- define "model.autoscaling" -}}
{{- if eq .Values.autoscaling.class "hpa" }}
scaleMetric: cpu
scaleMetricType: Utilization
scaleTarget: {{ .Values.autoscaling.target }}
{{- else }}
autoScaling:
  metrics:
    - type: External
      external:
        metric:
          backend: prometheus
          serverAddress: {{ .Values.autoscaling.prometheus }}
          query: {{ include "model.query" . | quote }}
        target:
          type: AverageValue
          averageValue: {{ .Values.autoscaling.target | quote }}
{{- end }}
{{- end }}

{{- define "model.query" -}}
{{- if .Values.autoscaling.query }}
{{- .Values.autoscaling.query }}
{{- else if eq .Values.model "router" }}
{{- printf "sum(vllm:num_requests_waiting{namespace=%q,model_name=\"router\"})" .Release.Namespace }}
{{- else }}
{{- printf "sum(rate(request_predict_seconds_count{namespace=%q,model_name=%q}[2m]))" .Release.Namespace .Values.model }}
{{- end }}
{{- end }}

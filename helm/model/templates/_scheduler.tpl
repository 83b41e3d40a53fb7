{{/* Prefix-cache-aware scheduling: a conversation goes where its prefix is cached. */}}
{{- define "model.scheduler" -}}
{{- $scheduler := .Values.router.scheduler -}}
labels: {{- include "model.podLabels" (dict "root" . "bundle" .Values.bundle "track" "scheduler") | nindent 2 }}
config:
  inline:
    apiVersion: llm-d.ai/v1alpha1
    kind: EndpointPickerConfig
    plugins:
      {{- if gt (int .Values.router.prefill.replicas) 0 }}
      - type: always-disagg-pd-decider
      - type: disagg-profile-handler
        parameters: { deciders: { prefill: always-disagg-pd-decider } }
      - type: prefill-filter
      - type: decode-filter
      {{- else }}
      - type: single-profile-handler
      {{- end }}
      - type: prefix-cache-scorer
        parameters:
          # a block of the scheduler is a block of vLLM's cache, counted in tokens
          blockSize: {{ .Values.router.blockSize | default 16 | int }}
          maxPrefixBlocksToMatch: {{ $scheduler.blocksPerPrefix | int }}
      - type: queue-scorer
      - type: kv-cache-utilization-scorer
      - type: max-score-picker
    schedulingProfiles:
      {{- range (ternary (list "prefill" "decode") (list "default") (gt (int .Values.router.prefill.replicas) 0)) }}
      - name: {{ . }}
        plugins:
          {{- if ne . "default" }}
          - pluginRef: {{ . }}-filter
          {{- end }}
          - { pluginRef: prefix-cache-scorer, weight: {{ $scheduler.weights.prefix }} }
          - { pluginRef: queue-scorer, weight: {{ $scheduler.weights.queue }} }
          - { pluginRef: kv-cache-utilization-scorer, weight: {{ $scheduler.weights.cache }} }
          - pluginRef: max-score-picker
      {{- end }}
{{- end }}

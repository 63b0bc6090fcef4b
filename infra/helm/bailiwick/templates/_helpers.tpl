{{/* The name of a part: release and part, short enough for a label. */}}
{{- define "bailiwick.name" -}}
{{- printf "%s-%s" (.root.Release.Name | trunc 40 | trimSuffix "-") .part -}}
{{- end -}}

{{- define "bailiwick.selector" -}}
app.kubernetes.io/name: bailiwick
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "bailiwick.labels" -}}
{{ include "bailiwick.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "bailiwick.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* For every pod: the settings that the Pod Security Standard "restricted" requires. */}}
{{- define "bailiwick.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "bailiwick.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* Spread over nodes, and over zones where there are some. */}}
{{- define "bailiwick.spread" -}}
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "bailiwick.selector" $ | nindent 6 }}
{{- end }}
{{- end -}}

{{/* Where Kafka is, for services and for the job. */}}
{{- define "bailiwick.kafkaEnv" -}}
- { name: BAILIWICK_BUS, value: {{ printf "kafka://%s" (join "," .Values.kafka.brokers) | quote }} }
- { name: BAILIWICK_KAFKA_CA, value: {{ ternary "/kafka-ca/ca.pem" "system" (ne .Values.kafka.caConfigMap "") | quote }} }
{{- end -}}

{{- define "bailiwick.caVolume" -}}
- name: {{ .name }}
  configMap:
    name: {{ .of.caConfigMap }}
    items: [{ key: {{ .of.caKey }}, path: ca.pem }]
{{- end -}}

{{/* One service: its Service, its workload, its disruption budget. `kind` is Deployment or StatefulSet. */}}
{{- define "bailiwick.service" -}}
{{- $root := .root }}
{{- $name := include "bailiwick.name" . }}
{{- $values := .values }}
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels:
    {{- include "bailiwick.labels" . | nindent 4 }}
spec:
  selector:
    {{- include "bailiwick.selector" . | nindent 4 }}
  ports:
    - { name: http, port: {{ .port }}, targetPort: http }
---
apiVersion: apps/v1
kind: {{ .kind }}
metadata:
  name: {{ $name }}
  labels:
    {{- include "bailiwick.labels" . | nindent 4 }}
spec:
  replicas: {{ .replicas }}
  {{- if eq .kind "StatefulSet" }}
  serviceName: {{ $name }}
  persistentVolumeClaimRetentionPolicy: { whenDeleted: Retain, whenScaled: Retain }
  {{- else if .standsBy }}
  # A new pod is a standby, and so not ready, until the old one stops and hands over: neither waits for the other.
  strategy: { type: RollingUpdate, rollingUpdate: { maxSurge: 100%, maxUnavailable: 100% } }
  {{- else }}
  strategy: { type: RollingUpdate, rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }
  {{- end }}
  selector:
    matchLabels:
      {{- include "bailiwick.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "bailiwick.labels" . | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      # An orderly stop hands over to a standby, and waits for the requests in progress.
      terminationGracePeriodSeconds: 30
      securityContext:
        {{- include "bailiwick.podSecurity" . | nindent 8 }}
      {{- with $root.Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- include "bailiwick.spread" . | trim | nindent 8 }}
      initContainers:
        # Keys must be the service's own files of mode 0600: a mounted secret is root's. They are kept in memory, on no disk.
        - name: installation
          image: {{ include "bailiwick.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          command: [/bin/sh, -euc, "umask 077; tar -xf /secret/installation.tar -C /data"]
          securityContext:
            {{- include "bailiwick.containerSecurity" . | nindent 12 }}
          resources: { requests: { cpu: 10m, memory: 32Mi }, limits: { memory: 64Mi } }
          volumeMounts:
            - { name: installation, mountPath: /secret, readOnly: true }
            - { name: data, mountPath: /data }
      containers:
        - name: {{ .part }}
          image: {{ include "bailiwick.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [serve, {{ .part }}]
          env:
            - { name: BAILIWICK_PUBLIC_URL, value: {{ $root.Values.publicUrl | quote }} }
            - { name: BAILIWICK_HOST, value: 0.0.0.0 }
            - { name: BAILIWICK_PORT, value: {{ .port | quote }} }
            # The ingress controller speaks TLS to the outside; network policies let only the front in.
            - { name: BAILIWICK_TLS, value: terminated }
            - { name: BAILIWICK_METRICS, value: anyone }
            # The data folder is in memory, and ends with the pod.
            - { name: BAILIWICK_SNAPSHOTS, value: "off" }
            - { name: BAILIWICK_KAFKA_PASSWORD_FILE, value: /data/kafka-password }
            {{- include "bailiwick.kafkaEnv" $root | nindent 12 }}
            {{- range $setting, $value := .env }}
            - { name: {{ $setting }}, value: {{ $value | quote }} }
            {{- end }}
            {{- range $setting, $value := $values.settings }}
            - { name: {{ $setting }}, value: {{ $value | quote }} }
            {{- end }}
          ports:
            - { name: http, containerPort: {{ .port }} }
          # A process that waits for Kafka is alive but not ready. Only a process that answers nothing is restarted.
          startupProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 2, failureThreshold: 60 }
          livenessProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 6 }
          readinessProbe: { httpGet: { path: /readyz, port: http }, periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2 }
          securityContext:
            {{- include "bailiwick.containerSecurity" . | nindent 12 }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - { name: data, mountPath: /data }
            - { name: tmp, mountPath: /tmp }
            {{- if eq .kind "StatefulSet" }}
            - { name: log, mountPath: /data/evidence }
            {{- end }}
            {{- if $root.Values.kafka.caConfigMap }}
            - { name: kafka-ca, mountPath: /kafka-ca, readOnly: true }
            {{- end }}
            {{- if .redisCa }}
            - { name: redis-ca, mountPath: /redis-ca, readOnly: true }
            {{- end }}
      volumes:
        - name: installation
          secret: { secretName: {{ $values.existingSecret }}, defaultMode: 0400 }
        - name: data
          emptyDir: { medium: Memory, sizeLimit: 32Mi }
        - name: tmp
          emptyDir: { sizeLimit: 64Mi }
        {{- if $root.Values.kafka.caConfigMap }}
        {{- include "bailiwick.caVolume" (dict "name" "kafka-ca" "of" $root.Values.kafka) | nindent 8 }}
        {{- end }}
        {{- if .redisCa }}
        {{- include "bailiwick.caVolume" (dict "name" "redis-ca" "of" $root.Values.redis) | nindent 8 }}
        {{- end }}
  {{- if eq .kind "StatefulSet" }}
  volumeClaimTemplates:
    - metadata:
        name: log
        labels:
          {{- include "bailiwick.selector" . | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $values.storage.className }}
        storageClassName: {{ . }}
        {{- end }}
        resources: { requests: { storage: {{ $values.storage.size }} } }
  {{- end }}
{{- if and $root.Values.podDisruptionBudgets.enabled (gt (int .replicas) 1) }}
---
{{- include "bailiwick.disruption" . }}
{{- end }}
{{- end -}}

{{/* With several pods, one may be moved at a time. A single pod gets no budget, because it could then never be moved. */}}
{{- define "bailiwick.disruption" }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "bailiwick.name" . }}
  labels:
    {{- include "bailiwick.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  # A standby is never ready, and may be moved at any time.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "bailiwick.selector" . | nindent 6 }}
{{- end -}}

/** For tests only: self-signed for `localhost`, trusted by no system, and its private key is public. */
export const testTls = {
  certificate: `-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIURMPte7t5+IQ7+4jLAQp2OqBp3nMwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDE4MTkyOFoYDzIxMjYxMDMx
MTgxOTI4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATjDZMdpvRXMFdkuVWHENrpXON85UYCVsycRqg9jnp1zDEFa8s1Fjp/
lf9Tl282zmEgol9feuTSo+K+T7KlOn5/o2kwZzAdBgNVHQ4EFgQUQMm/vVmx94BT
jUcgOPmAkMKo+ygwHwYDVR0jBBgwFoAUQMm/vVmx94BTjUcgOPmAkMKo+ygwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SQAwRgIhAPqFML8PGqmwqOCgr1bptPhu/1y4wIxlHDbE8N/zFL9eAiEAjV+Yh5Aq
wpets5aJbImWj2DO9ZkNakXxyvfKUOl6gVM=
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQguFg2yF0LX56qKz0T
/fC0ifDnK3Mdy+XpQr5kcPSdReKhRANCAATjDZMdpvRXMFdkuVWHENrpXON85UYC
VsycRqg9jnp1zDEFa8s1Fjp/lf9Tl282zmEgol9feuTSo+K+T7KlOn5/
-----END PRIVATE KEY-----`,
}

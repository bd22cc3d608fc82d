"""What can be wrong with the way to the gateway, its state and its clock."""

from app.doctor.catalogue.trouble import READ_LOG, fault, warning

CHECK_ADDRESS = "Check the host and the port, that the gateway runs, and that a firewall lets you through."

PLACE = {
    "address_invalid": fault(
        "The address cannot be that of a gateway.",
        "Give --url as https://host or https://host:port, without a name, a query or a fragment in it.",
    ),
    "clear_text": fault(
        "The key would travel to {host} in clear text, so nothing was sent.",
        "Use https:// and let TLS end in front of the gateway (Cloud Run and load balancers do that).",
    ),
    "clear_text_private": warning(
        "The key travels in clear text, in what looks like a private network.",
        "Use https:// unless everybody who can listen in that network may have the key.",
    ),
    "dns": fault("The name {host} is not known.", "Check its spelling and the DNS."),
    "refused": fault("Nothing listens at {place}.", CHECK_ADDRESS),
    "unreachable": fault("No connection to {place} could be made.", CHECK_ADDRESS),
    "proxy_failed": fault(
        "The proxy that the environment names could not be used.",
        "Correct HTTPS_PROXY and HTTP_PROXY, or name the host in NO_PROXY.",
    ),
    "tls_certificate": fault(
        "The certificate cannot be trusted: {reason}.",
        "Install one for this name; the file of an authority of your own goes into REQUESTS_CA_BUNDLE here, "
        "and into NODE_EXTRA_CA_CERTS for OpenCode.",
    ),
    "tls_failed": fault(
        "No TLS could be agreed on at {place}.",
        "Use http:// if the gateway is on this machine, else let TLS end in front of it.",
    ),
    "no_answer": fault(
        "No answer came within {seconds} s.",
        "Ask for /health/live on the gateway's own machine: if it answers, what is in between does not.",
    ),
    "cut": fault("The connection was cut before the answer was whole.", READ_LOG),
    "stalled": fault("The answer began, and then nothing more came.", READ_LOG),
    "too_slow": fault(
        "Everything is so slow that the rest was left out after {seconds} s.",
        "See what keeps the server or the way to it busy, and ask again when it is not.",
    ),
    "not_http": fault(
        "What answers does not speak HTTP.", "Check the port: the gateway's is PORT, 8080 by default."
    ),
    "too_large": fault(
        "The answer is larger than anything that a gateway sends.", "Check that the address is the gateway's."
    ),
    "redirect": fault(
        "The address redirects to {target}.",
        "Give the address that answers itself: clients lose the key, or the body, on a redirect.",
    ),
    "iam": fault(
        "Cloud Run's IAM asks for a Google identity token, before the gateway sees the key.",
        "Run `gcloud run services update SERVICE --no-invoker-iam-check`, as the gateway checks keys itself, "
        "or send the token in X-Serverless-Authorization, here by --identity-token.",
    ),
    "front_refuses": fault(
        "Something in front of the gateway refuses the request with status {status}.",
        "Let that proxy or load balancer pass requests without a login: the gateway checks the keys.",
    ),
    "front_timeout": fault(
        "A proxy in front gave up waiting, with status {status}.",
        "Raise its timeout to 3600 s; on Cloud Run, `gcloud run services update SERVICE --timeout 3600`.",
    ),
    "front_alone": fault(
        "Something in front answers with status {status}, since it does not reach the gateway.",
        "Check that the gateway runs, and the address of it that the proxy or load balancer has.",
    ),
    "vllm_bare": fault(
        "vLLM itself answers at this address, without the gateway before it.",
        "Bind vLLM to 127.0.0.1 or a Unix socket, and let only the gateway listen here.",
    ),
    "other_server": fault(
        "What answers at this address is not this gateway (status {status}, {kind}).",
        "Check the address, and that what stands in front passes /health and /v1 on to the gateway.",
    ),
    "clock_skew": fault(
        "The server's clock is {seconds} s {direction} this machine's.",
        "Set both by NTP: `not_before` and `expires` of keys go by the server's clock.",
    ),
    "clock_drift": warning(
        "The server's clock is {seconds} s {direction} this machine's.",
        "Set both by NTP, before keys that expire make a difference.",
    ),
    "no_request_id": warning(
        "Answers carry no X-Request-Id.",
        "Let the proxy in front keep that header, by which an error is found in the gateway's log.",
    ),
    "still_loading": fault(
        "The model is still loading ({phase}) after {seconds} s of waiting.",
        "Wait longer with --wait; if the phase never ends, its reason stands in vLLM's log.",
    ),
    "keys_not_loaded": fault(
        "The gateway has no keys.",
        "Check API_KEYS_FILE, or GCP_PROJECT and the service account's roles/secretmanager.secretAccessor.",
    ),
    "upstream_down": fault(
        "The gateway runs, but vLLM does not answer it.",
        "Look at vLLM's log and check VLLM_BASE_URL.",
    ),
    "draining": fault("The instance is shutting down.", "Ask again in a minute, and see what stopped it."),
}

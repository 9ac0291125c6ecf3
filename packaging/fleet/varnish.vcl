# Varnish as a cache for Mixpanel's definitions, in front of any number of mpflags clients; docs/fleet.md describes it.
# From Debian: apt-get install varnish hitch stunnel4. Varnish speaks no TLS: hitch.conf and stunnel.conf are for both sides.
#
#   varnishd -f varnish.vcl -a /run/varnish/flags.sock,PROXY,mode=666 -s malloc,256m \
#       -p vsl_mask=-ReqHeader,-BereqHeader,-ReqURL,-BereqURL
#
# The mask keeps credentials out of the log in memory, which varnishlog and varnishncsa read.
#
# Before use: the origin of your region, here and in stunnel.conf, and the time of 60s, which is the polling interval of the clients.

vcl 4.1;

import blob;

backend mixpanel {
    # stunnel, which verifies Mixpanel's certificate.
    .host = "127.0.0.1";
    .port = "8081";
    .connect_timeout = 3s;
    .first_byte_timeout = 8s;
    .between_bytes_timeout = 8s;
}

sub vcl_recv {
    set req.http.Host = "api.mixpanel.com";
    unset req.http.Cookie;
    # Events and remote evaluations: passed on as they come.
    if (req.method != "GET" || req.url !~ "^/flags/definitions(\?|$)") {
        return (pass);
    }
    # Varnish itself would pass requests with credentials.
    return (hash);
}

sub vcl_hash {
    # By credentials, so that nobody gets the definitions of another project. The versions of clients do not matter.
    hash_data(req.http.Authorization);
    hash_data(regsub(req.url, "^.*[?&]token=([^&]*).*$|^.*$", "\1"));
    hash_data(regsub(req.url, "^.*[?&]project_id=([^&]*).*$|^.*$", "\1"));
    return (lookup);
}

sub vcl_backend_response {
    if (bereq.uncacheable) {
        return (deliver);
    }
    unset beresp.http.Set-Cookie;
    set beresp.http.X-Key = blob.encode(encoding = HEX, blob = bereq.hash);
    if (beresp.status == 200) {
        # Kept for the interval, and then asked for again with its ETag, by one request. Meanwhile, and while Mixpanel is down, clients
        # get what is here.
        set beresp.ttl = 60s;
        set beresp.grace = 7d;
        set beresp.keep = 7d;
        return (deliver);
    }
    if (beresp.status == 401 || beresp.status == 403) {
        # Credentials that are not valid any more get nothing from here.
        ban("obj.http.X-Key == " + beresp.http.X-Key);
    } else if (bereq.is_bgfetch) {
        # What is here stays.
        return (abandon);
    }
    # Everything but definitions is passed on to the client that asked.
    set beresp.uncacheable = true;
    set beresp.ttl = 0s;
    return (deliver);
}

sub vcl_deliver {
    unset resp.http.X-Key;
    unset resp.http.X-Varnish;
    unset resp.http.Via;
}

//! Packaged services of the kinds that differ most in how they are started: by an init script, as
//! an instance, by a socket, on the bus, two in one container, of no package. Each is asked by a
//! client on the host in its own protocol.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "the steps of a test fail by panicking"
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use vss_lab::{Lab, client, fixture};

/// What `ask` answers once it answers with `wanted` in it: a service may be up before it listens.
fn until(wanted: &str, mut ask: impl FnMut() -> std::io::Result<String>) -> String {
    let mut said = String::new();
    for _ in 0..600 {
        said = ask().unwrap_or_else(|error| error.to_string());
        if said.contains(wanted) {
            return said;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{wanted} is not in {said}");
}

/// Sends a line or more and reads until the service says no more, or `wanted`.
fn talk(address: Ipv4Addr, port: u16, say: &str, wanted: &str) -> String {
    until(wanted, || {
        let mut stream = client::connect(address, port)?;
        stream.write_all(say.as_bytes())?;
        let mut said = Vec::new();
        let mut part = [0; 512];
        while !String::from_utf8_lossy(&said).contains(wanted) {
            match stream.read(&mut part)? {
                0 => break,
                n => said.extend_from_slice(&part[..n]),
            }
        }
        Ok(String::from_utf8_lossy(&said).into_owned())
    })
}

/// Asks a DNS server for the IPv4 address of a name; the address in its answer.
fn resolve(server: Ipv4Addr, port: u16, name: &str) -> std::io::Result<String> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    // one question, recursion wanted: type A, class IN
    let mut query = vec![0x13, 0x37, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).expect("a label"));
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    socket.send_to(&query, (server, port))?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer)?;
    let data = answer[..length].last_chunk::<4>().expect("an answer");
    Ok(format!("{} answers: {}", answer[7], Ipv4Addr::from(*data)))
}

fn write(path: &str, text: &str) {
    let parent = std::path::Path::new(path).parent().expect("a directory");
    std::fs::create_dir_all(parent).expect("a directory");
    std::fs::write(path, text).expect("a file");
}

#[test]
fn a_service_with_an_init_script_and_no_unit_runs() {
    let lab = Lab::enter();
    let directory = lab.create("directory", &["-C", "-u", "slapd.service"]);
    directory.start();
    let url = format!("ldap://{}", directory.address());
    let ask = ["-x", "-H", &url, "-b", "", "-s", "base", "namingContexts"];
    until("namingContexts: dc=", || {
        Ok(lab.run("ldapsearch", &ask).stdout())
    });
    // The scripts of the host's other packages are not there to be made units of.
    let scripts = directory.execute(&["ls", "/etc/init.d"]).ok();
    assert_eq!(scripts, "slapd\n");
    directory.stop();
}

#[test]
fn an_instance_of_a_template_runs_on_its_own_configuration() {
    let lab = Lab::enter();
    let shipped = std::fs::read_to_string("/etc/redis/redis.conf").expect("the packaged file");
    let own = "/etc/redis/redis-two.conf";
    write(
        own,
        &format!(
            "{shipped}\nport 6380\nbind 0.0.0.0\nprotected-mode no\nlogfile \"\"\npidfile /run/redis-two/redis.pid\n"
        ),
    );
    lab.run("chown", &["redis:redis", own]).ok();
    let store = lab.create("store", &["-C", "-u", "redis-server@two.service"]);
    store.start();
    let told = talk(store.address(), 6380, "PING\r\nQUIT\r\n", "+PONG");
    assert!(told.contains("+PONG"), "{told}");
    store.stop();

    // One that the host has no configuration of is foreseen, and is never said to be started.
    let none = lab.expect("none");
    let make = [
        "create",
        "--confinement",
        "reduced",
        "-u",
        "postgresql@15-none.service",
        "none",
    ];
    let warned = lab.vss(&make).ended(0).stderr();
    assert!(
        warned.contains("will not start: AssertPathExists="),
        "{warned}"
    );
    let failed = lab.vss(&["start", "none"]).failed(1);
    assert!(
        failed.contains("a condition is not met: AssertPathExists="),
        "{failed}"
    );
    drop(none);
}

#[test]
fn a_service_that_a_socket_starts_for_each_client_runs() {
    let lab = Lab::enter();
    let ident = lab.create("ident", &["-C", "-u", "oidentd.socket"]);
    ident.start();
    talk(ident.address(), 113, "1, 2\r\n", ":ERROR:");
    ident.stop();
}

#[test]
fn services_on_the_bus_run() {
    let lab = Lab::enter();
    // of Type=dbus: not up before it has its name on the container's own bus
    let finder = lab.create("finder", &["-C", "-u", "avahi-daemon.service"]);
    // it forks, with scripts before and after
    let names = lab.create("names", &["-C", "-u", "dnsmasq.service"]);
    finder.start();
    names.start();
    let own = format!("1 answers: {}", finder.address());
    until(&own, || resolve(finder.address(), 5353, "finder.local"));
    let own = format!("1 answers: {}", names.address());
    until(&own, || resolve(names.address(), 53, "names"));
    finder.stop();
    names.stop();
}

#[test]
fn two_units_work_together_in_one_container() {
    let lab = Lab::enter();
    let fpm = std::fs::read_dir("/usr/lib/systemd/system")
        .expect("units")
        .filter_map(|entry| entry.expect("a unit").file_name().into_string().ok())
        .find(|name| name.starts_with("php") && name.ends_with("-fpm.service"))
        .expect("the unit of php-fpm");
    let socket = format!("/run/php/{}.sock", fpm.trim_end_matches(".service"));
    write(
        "/etc/nginx/sites-enabled/default",
        &format!(
            "server {{ listen 80 default_server; root /var/www/html; location ~ \\.php$ {{ \
             include snippets/fastcgi-php.conf; fastcgi_pass unix:{socket}; }} }}\n"
        ),
    );
    write(
        "/var/www/html/sum.php",
        "<?php echo PHP_SAPI, ' says ', 6 * 7;",
    );
    let pair = lab.create("pair", &["-C", "-u", "nginx.service", "-u", &fpm]);
    pair.start();
    let page = || client::page(pair.address(), "/sum.php").map(|(_, body)| body);
    until("fpm-fcgi says 42", page);
    pair.stop();
}

#[test]
fn a_unit_of_the_administrator_s_own_runs_from_opt() {
    let lab = Lab::enter();
    write(
        "/opt/own/app.py",
        "import http.server\nclass Own(http.server.BaseHTTPRequestHandler):\n  \
         def do_GET(self):\n    self.send_response(200)\n    self.end_headers()\n    \
         self.wfile.write(b'its own')\nhttp.server.HTTPServer(('', 80), Own).serve_forever()\n",
    );
    // No network comes up inside, as it is there from the start: nothing may wait for it.
    write(
        "/etc/systemd/system/own.service",
        "[Unit]\nAfter=network-online.target\nWants=network-online.target\n[Service]\n\
         ExecStart=/usr/bin/python3 /opt/own/app.py\nDynamicUser=yes\n\
         AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_SYS_NICE\nStateDirectory=own\n",
    );
    let own = lab.create("own", &["-C", "-u", "own.service"]);
    own.start();
    until("its own", || {
        client::page(own.address(), "/").map(|(_, body)| body)
    });
    let user = own
        .execute(&["sh", "-c", "stat -c %U /proc/$(pidof python3)"])
        .ok();
    assert_eq!(user, "own\n");
    own.stop();
}

#[test]
fn a_unit_whose_requirement_fails_is_not_said_to_be_started() {
    let lab = Lab::enter();
    fixture::service(&lab, "broken", "", "Type=oneshot\nExecStart=/bin/false");
    let needs = "Requires=broken.service\nAfter=broken.service";
    fixture::service(&lab, "needy", needs, "ExecStart=/bin/sleep infinity");
    let needy = lab.create("needy", &["-u", "needy.service"]);
    let failed = lab.vss(&["start", "needy"]).failed(1);
    assert!(
        failed.contains("needy.service was not started: a unit that it requires failed"),
        "{failed}"
    );
    drop(needy);
}

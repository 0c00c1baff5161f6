//! Packaged services, unedited, each in a container of its own, all at the same time; each is
//! asked by a client on the host in its own protocol.

#![expect(clippy::expect_used, reason = "the steps of a test fail by panicking")]

use std::io::Write;
use std::process::{Command, Stdio};

use vss_lab::{Lab, Sandbox, client};

/// What `-C` has to bring along: a table in the host's database, made without a server.
const TABLE: &str = "FLUSH PRIVILEGES;
CREATE DATABASE lab;
CREATE TABLE lab.t (word VARCHAR(20));
INSERT INTO lab.t VALUES ('brought');
CREATE USER lab@localhost IDENTIFIED BY 'lab';
CREATE USER lab@'127.0.0.1' IDENTIFIED BY 'lab';
GRANT ALL ON lab.* TO lab@localhost;
GRANT ALL ON lab.* TO lab@'127.0.0.1';
";

#[expect(clippy::disallowed_methods, reason = "the lab runs programs")]
fn fed(lab: &Lab, program: &str, args: &[&str], input: &str) -> vss_lab::Ran {
    let mut file = tempfile();
    file.write_all(input.as_bytes()).expect("its input");
    let file = std::fs::File::open(INPUT).expect("its input");
    lab.output(Command::new(program).args(args).stdin(Stdio::from(file)))
}

const INPUT: &str = "/run/lab-input";

fn tempfile() -> std::fs::File {
    std::fs::File::create(INPUT).expect("a file for input")
}

/// Runs a client of the host in the container's network: for a service that listens on its
/// loopback alone, as MariaDB's packaged configuration says.
fn on_its_loopback(lab: &Lab, sandbox: &Sandbox<'_>, client: &[&str]) -> vss_lab::Ran {
    let status = sandbox.status();
    let pid = status["init_pid"].as_u64().expect("a running container");
    let pid = pid.to_string();
    let mut args = vec!["-t", &pid, "-n"];
    args.extend(client);
    lab.run("nsenter", &args)
}

/// What a command says once it says something with `wanted` in it; a service may be active before
/// it answers.
fn until(wanted: &str, mut ask: impl FnMut() -> String) -> String {
    let mut said = String::new();
    for _ in 0..600 {
        said = ask();
        if said.contains(wanted) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(said.contains(wanted), "{wanted} is not in {said}");
    said
}

#[test]
fn five_services_and_their_neighbours_run_unedited_at_the_same_time() {
    let lab = Lab::enter();
    fed(
        &lab,
        "mariadbd",
        &[
            "--no-defaults",
            "--bootstrap",
            "--user=mysql",
            "--datadir=/var/lib/mysql",
        ],
        TABLE,
    )
    .ok();

    let web = lab.create("web", &["-C", "-u", "apache2.service"]);
    let web2 = lab.create("web2", &["-C", "-u", "apache2.service"]);
    let front = lab.create("front", &["-C", "-u", "nginx.service"]);
    let shell = lab.create("shell", &["-C", "-u", "ssh.service"]);
    let data = lab.create("data", &["-C", "-u", "mariadb.service"]);
    let mail = lab.create("mail", &["-C", "-u", "dovecot.service"]);
    another_cluster();
    let post = lab.create("post", &["-C", "-u", "postgresql@15-main.service"]);
    for own in ["etc/postgresql/15", "var/lib/postgresql/15"] {
        let own = format!("/var/lib/libvirt/filesystems/post/{own}");
        assert!(std::fs::exists(format!("{own}/main")).expect("a look"));
        assert!(!std::fs::exists(format!("{own}/another")).expect("a look"));
    }
    std::fs::write(
        "/var/lib/libvirt/filesystems/web2/var/www/html/index.html",
        "the second page",
    )
    .expect("a page of its own");
    let all = [&web, &web2, &front, &shell, &data, &mail, &post];
    for sandbox in all {
        sandbox.start();
    }

    page(&web, "Apache2");
    page(&web2, "the second page");
    // Its root is Apache's too; the server is another.
    let (head, _) = client::page(front.address(), "/").expect("a page");
    assert!(head.contains("Server: nginx"), "{head}");
    login_with_a_key(&lab, &shell);
    query(&lab, &data);
    imap_login(&lab, &mail);
    let select = [
        "execute",
        "--user",
        "postgres",
        "post",
        "--",
        "psql",
        "-Atc",
        "select 6*7",
    ];
    assert_eq!(lab.vss(&select).ok(), "42\n");

    let list = lab.vss(&["list", "--format", "json"]).json();
    let states = list.as_array().map(|l| l.iter().map(|e| &e["state"]));
    assert!(
        states.is_some_and(|mut s| s.all(|s| s == "running")),
        "{list}"
    );
    for sandbox in all {
        sandbox.stop();
    }
}

/// A second cluster of the host's database, which is none of an instance of the first.
fn another_cluster() {
    for directory in ["/etc/postgresql/15", "/var/lib/postgresql/15"] {
        let another = format!("{directory}/another");
        std::fs::create_dir(&another).expect("a second cluster");
        std::fs::write(format!("{another}/postgresql.conf"), "").expect("its file");
    }
}

fn page(sandbox: &Sandbox<'_>, wanted: &str) {
    let (head, body) = client::page(sandbox.address(), "/").expect("a page");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(body.contains(wanted), "{wanted} is not in {body}");
}

fn login_with_a_key(lab: &Lab, sandbox: &Sandbox<'_>) {
    let key = "/run/lab-key";
    lab.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", key])
        .ok();
    let home = "/var/lib/libvirt/filesystems/shell/root/.ssh";
    std::fs::create_dir_all(home).expect("root's home in the container");
    std::fs::copy(format!("{key}.pub"), format!("{home}/authorized_keys")).expect("the key");
    let to = format!("root@{}", sandbox.address());
    let options = [
        "-i",
        key,
        "-F",
        "none",
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/run/lab-known",
        &to,
        "hostname",
    ];
    let said = until("shell", || lab.run("ssh", &options).stdout());
    assert_eq!(said, "shell\n");
    // Its keys are its own, not the host's.
    let public = "/etc/ssh/ssh_host_ed25519_key.pub";
    let inside = sandbox.execute(&["cat", public]).ok();
    let outside = std::fs::read_to_string(public).expect("the host's key");
    assert_ne!(inside, outside);
}

fn query(lab: &Lab, sandbox: &Sandbox<'_>) {
    let client = [
        "mariadb",
        "--no-defaults",
        "-h",
        "127.0.0.1",
        "-ulab",
        "-plab",
        "-Ne",
        "select word from lab.t",
    ];
    let said = until("brought", || {
        on_its_loopback(lab, sandbox, &client).stdout()
    });
    assert_eq!(said, "brought\n");
}

fn imap_login(lab: &Lab, sandbox: &Sandbox<'_>) {
    sandbox
        .execute(&["useradd", "-m", "-d", "/var/lib/mary", "mary"])
        .ok();
    sandbox
        .execute(&["sh", "-c", "echo mary:sesame | chpasswd"])
        .ok();
    let to = format!("{}:993", sandbox.address());
    let ask = || {
        fed(
            lab,
            "openssl",
            &["s_client", "-quiet", "-connect", &to],
            "a LOGIN mary sesame\r\nb LOGOUT\r\n",
        )
        .stdout()
    };
    until("a OK", ask);
}

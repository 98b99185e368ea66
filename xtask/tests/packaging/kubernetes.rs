//! The manifest for nodes that are directors.

use yaml_rust2::{Yaml, YamlLoader};

use crate::{check_command_line, read};

fn manifest() -> Vec<Yaml> {
    YamlLoader::load_from_str(&read("kubernetes/daemonset.yaml")).unwrap()
}

fn daemon_set() -> Yaml {
    let mut found = manifest().into_iter();
    found
        .find(|document| document["kind"].as_str() == Some("DaemonSet"))
        .unwrap()
}

fn texts(list: &Yaml) -> Vec<&str> {
    list.as_vec()
        .unwrap()
        .iter()
        .filter_map(Yaml::as_str)
        .collect()
}

#[test]
fn each_object_says_what_it_is() {
    for object in manifest() {
        for part in ["apiVersion", "kind"] {
            assert!(object[part].as_str().is_some(), "{part}: {object:?}");
        }
        assert!(object["metadata"]["name"].as_str().is_some(), "{object:?}");
    }
}

#[test]
fn pods_are_those_that_the_set_selects() {
    let set = daemon_set();
    assert_eq!(set["apiVersion"].as_str(), Some("apps/v1"));
    let selected = set["spec"]["selector"]["matchLabels"].as_hash().unwrap();
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    for (label, value) in selected {
        assert_eq!(&labels[label.as_str().unwrap()], value);
    }
    let namespace = set["metadata"]["namespace"].as_str();
    assert_eq!(manifest()[0]["metadata"]["name"].as_str(), namespace);
}

#[test]
fn it_sees_the_hosts_ipvs_with_no_more_rights_than_that_takes() {
    let set = daemon_set();
    let pod = &set["spec"]["template"]["spec"];
    assert_eq!(pod["hostNetwork"].as_bool(), Some(true));
    assert_eq!(pod["automountServiceAccountToken"].as_bool(), Some(false));
    assert!(pod["hostPID"].is_badvalue() && pod["hostIPC"].is_badvalue());
    assert!(
        pod["nodeSelector"]
            .as_hash()
            .is_some_and(|labels| !labels.is_empty())
    );
    let security = &pod["containers"][0]["securityContext"];
    assert_eq!(security["privileged"].as_bool(), Some(false));
    assert_eq!(security["readOnlyRootFilesystem"].as_bool(), Some(true));
    assert_eq!(security["allowPrivilegeEscalation"].as_bool(), Some(false));
    assert_eq!(texts(&security["capabilities"]["drop"]), ["ALL"]);
    assert_eq!(
        texts(&security["capabilities"]["add"]),
        ["NET_ADMIN", "BPF", "PERFMON", "SYSLOG", "SYS_ADMIN"]
    );
}

#[test]
fn what_is_mounted_is_there_and_read_only() {
    let set = daemon_set();
    let pod = &set["spec"]["template"]["spec"];
    let volumes = pod["volumes"].as_vec().unwrap();
    let mounts = pod["containers"][0]["volumeMounts"].as_vec().unwrap();
    assert_eq!(volumes.len(), mounts.len());
    for mount in mounts {
        assert_eq!(mount["readOnly"].as_bool(), Some(true));
        let name = mount["name"].as_str();
        let volume = volumes
            .iter()
            .find(|volume| volume["name"].as_str() == name)
            .unwrap();
        assert_eq!(volume["hostPath"]["path"], mount["mountPath"]);
    }
    assert_eq!(mounts[0]["mountPath"].as_str(), Some("/sys"));
}

#[test]
fn probes_ask_the_port_that_the_sampler_serves() {
    let set = daemon_set();
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    let port = &container["ports"][0];
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["path"].as_str(), Some("/healthz"), "{probe}");
        assert_eq!(get["port"], port["name"], "{probe}");
    }
    let number = port["containerPort"].as_i64().unwrap();
    // With the host's network they are the same port.
    assert_eq!(port["hostPort"].as_i64(), Some(number));
    let output = format!("--output=prometheus://$(HOST_IP):{number}");
    assert!(texts(&container["args"]).contains(&&*output));
    let annotations = &set["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(
        annotations["prometheus.io/port"].as_str(),
        Some(&*number.to_string())
    );
}

#[test]
fn the_sampler_takes_its_arguments_and_every_variable_is_set() {
    let set = daemon_set();
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    let arguments = texts(&container["args"]);
    let variables = container["env"].as_vec().unwrap();
    for argument in &arguments {
        if let Some((_, rest)) = argument.split_once("$(") {
            let name = rest.split(')').next();
            assert!(
                variables
                    .iter()
                    .any(|variable| variable["name"].as_str() == name),
                "{argument}"
            );
        }
    }
    check_command_line(arguments);
    let resources = &container["resources"];
    assert!(resources["limits"]["memory"].as_str().is_some());
    assert!(resources["requests"]["cpu"].as_str().is_some());
}

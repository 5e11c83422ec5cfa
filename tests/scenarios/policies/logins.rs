//! What `check` says of a login and of a URL.

use crate::scene::{Scene, scenarios};

scenarios! { postgres_mysql:
    a63_check_names_the_rights_a_login_lacks,
    a_url_that_leads_nowhere_is_named_as_the_cause,
}

/// The scene's configuration with something else in it.
fn with(scene: &Scene, from: &str, to: &str) {
    let config = std::fs::read_to_string(scene.program.path("twinrow.yaml")).unwrap();
    assert!(config.contains(from));
    scene.program.configure(&config.replace(from, to));
}

pub async fn a63_check_names_the_rights_a_login_lacks(scene: &Scene) {
    scene.customers("    safety: mirror").await;
    let url = scene.source.url();
    let mut low = url::Url::parse(&url).unwrap();
    let user = format!("low_{}", low.path().trim_start_matches('/'));
    low.set_username(&user).unwrap();
    low.set_password(Some("secret")).unwrap();
    let grants = format!("grant select on customer to {user}; grant insert, update on customer to {user}");
    scene.source.user(&format!("create role {user} login password 'secret'")).await;
    with(scene, &url, low.as_str());
    let check = || scene.program.run(&["check"]);
    let lacks = |text: &str, right: &str| text.contains(&format!("problem: shop: this login lacks {right}"));
    let done = check().await.code(1);
    for right in ["SELECT", "INSERT", "UPDATE", "DELETE", "ownership"] {
        assert!(lacks(&done.out, &format!("{right} on public.customer")), "{right}: {}", done.out);
    }
    assert!(lacks(&done.out, "CREATE on database"), "{}", done.out);
    assert!(!done.out.contains("public.orders"), "of linked tables only: {}", done.out);
    assert!(done.err.contains("docs/grants.md"), "{}", done.err);

    with(scene, low.as_str(), &url);
    scene.sync().await;
    scene
        .source
        .user(&format!("{grants}; grant usage on schema twinrow to {user}; grant all on all tables in schema twinrow to {user}"))
        .await;
    with(scene, &url, low.as_str());
    let done = check().await.code(1);
    assert!(lacks(&done.out, "DELETE on public.customer") && done.out.matches("lacks").count() == 1, "{}", done.out);
    scene.source.user(&format!("grant delete on customer to {user}")).await;
    assert!(check().await.code(0).out.ends_with("ok\n"));
    scene.source.user(&format!("drop owned by {user}; drop role {user}")).await;
}

pub async fn a_url_that_leads_nowhere_is_named_as_the_cause(scene: &Scene) {
    scene.customers("").await;
    for (endpoint, url) in [("shop", scene.source.url()), ("crm", scene.target.url())] {
        let change = |what: &dyn Fn(&mut url::Url)| {
            let mut other = url::Url::parse(&url).unwrap();
            what(&mut other);
            other.to_string()
        };
        let elsewhere = [
            (change(&|url| url.set_username("nobody_knows").unwrap()), "correct the user or the password in the URL"),
            (change(&|url| url.set_path("nowhere")), "correct the name of the database in the URL"),
            (change(&|url| url.set_port(Some(1)).unwrap()), "see that the server runs"),
        ];
        for (other, hint) in elsewhere {
            with(scene, &url, &other);
            let done = scene.refused(&["check"], 1).await;
            assert!(done.err.contains(&format!("endpoint {endpoint}")) && done.err.contains(hint), "{hint}: {}", done.err);
            with(scene, &other, &url);
        }
    }
}

//! One deployment is open in one process at a time.

use crate::harness::gateway::Home;
use crate::harness::tenants::Tenant;
use crate::harness::upstream::Upstream;

#[test]
fn a_second_process_on_the_same_folder_refuses_and_the_first_goes_on() {
    let upstream = Upstream::start();
    let home = Home::new(&upstream.url, "");
    let gateway = home.serve();
    let tenant = Tenant::create(&gateway, "a");
    let refused = home
        .try_serve()
        .err()
        .expect("two processes have one folder");
    assert!(refused.contains("in use by another process"), "{refused}");
    assert!(refused.contains("nothing was opened"), "{refused}");
    assert_eq!(tenant.app(&gateway).chat("free", "hello").status, 200);
    // and the folder is free again once the first is gone, however it went
    gateway.kill();
    let gateway = home.serve();
    assert_eq!(tenant.app(&gateway).chat("free", "hello").status, 200);
    gateway.stop();
    home.serve();
}

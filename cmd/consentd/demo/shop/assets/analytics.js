// Stands for an audience measurement tool: it runs only once its purpose is consented to.
document.cookie = '_pk_id.demo=1;path=/;samesite=lax';
document.dispatchEvent(new CustomEvent('demo:script', { detail: 'analytics' }));
